// Command apikey makes an API key for Rekey. It prints the key, which is kept
// nowhere, and the entry for REKEY_API_KEYS, which holds only its hash. The key
// goes to the caller of Rekey, the entry into its settings; a key is replaced by
// adding an entry of the same name, and removing the old one when no caller uses it
// any more.
package main

import (
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"rekey/shared/auth"
)

func main() {
	err := run(os.Args[1:], rand.Reader, os.Stdout, os.Stderr)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "apikey:", err)
		os.Exit(1)
	}
}

// run makes one key from random and prints it and its entry to out, a line each.
func run(args []string, random io.Reader, out, errs io.Writer) error {
	flags := flag.NewFlagSet("apikey", flag.ContinueOnError)
	flags.SetOutput(errs)
	name := flags.String("name", "", "who will use the key, as the audit will show it")
	role := flags.String("role", "read", "what it allows: read, write, rotate or admin")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return errors.New("there are only the flags -name and -role")
	}
	key, hash, err := auth.NewKey(random)
	if err != nil {
		return fmt.Errorf("making a key: %w", err)
	}
	entry, err := auth.ParseKey(*name + ":" + *role + ":" + hash)
	if err != nil {
		return fmt.Errorf("making the entry: %w", err)
	}
	_, err = fmt.Fprintf(out, "key, shown only now:        %s\nentry for REKEY_API_KEYS:   %s\n", key.Reveal(), entry)
	return err
}
