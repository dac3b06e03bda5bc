// Command rebuild writes Rekey's table again after it was lost, from the tags in Key
// Vault and from Entra. It reads the settings of the handler from the environment, and
// needs no right that the handler has not.
//
// With -settings it works from a workstation: that file has the settings of the app, as
// the Azure CLI prints them or the AWS CLI those of a function. Vault and table are then
// reached as the person that the Azure CLI is signed in as, and references to Key Vault are
// resolved.
//
// Without -write it only looks, and prints what it would do. With -write it looks, waits
// until every pass that may have been under way has ended, looks again, and writes the
// records that are missing; handlers may run meanwhile. A record that is there is never
// changed, so that it may be run as often as one likes.
//
// It exits with 1 if something is left for a person, or if it could not find out, and
// with 2 if it could not work at all. It prints no values.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // schedules are in IANA zones, and the machine may have none

	"rekey/shared/app"
	"rekey/shared/config"
	"rekey/shared/rebuild"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	left, err := run(ctx, os.Args[1:], os.LookupEnv, os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "rebuild:", err)
		os.Exit(2)
	case left:
		os.Exit(1)
	}
}

// run looks, writes if args say so, and prints to out what it found. It reports whether
// anything is left for a person.
func run(ctx context.Context, args []string, lookup func(string) (string, bool), out, errs io.Writer) (left bool, err error) {
	flags := flag.NewFlagSet("rebuild", flag.ContinueOnError)
	flags.SetOutput(errs)
	write := flags.Bool("write", false, "write the records that are missing; without it nothing is written")
	only := flags.String("connection", "", "the id of the one connection that is meant; empty: all")
	file := flags.String("settings", "", "a file with the app's settings, to work from a workstation as the Azure CLI is signed in")
	if err := flags.Parse(args); err != nil {
		return false, err
	}
	if flags.NArg() > 0 {
		return false, errors.New("there are only the flags -write, -connection and -settings")
	}
	log := slog.New(slog.NewJSONHandler(errs, &slog.HandlerOptions{Level: slog.LevelWarn}))
	a, who, err := open(ctx, *file, lookup, log)
	if err != nil {
		return false, err
	}
	r, err := rebuilder(a)
	if err != nil {
		return false, err
	}
	work := r.Scan
	if *write {
		fmt.Fprintf(errs, "Looking. If something is missing, %s pass before it is written, so that nothing is under way any more.\n", r.Quiet())
		work = r.Rebuild
	}
	plan, err := work(ctx, *only)
	if err != nil {
		return false, who.explain(err)
	}
	if *only != "" && len(plan.Connections) == 0 {
		return false, errors.New("the vault has nothing of that connection")
	}
	return plan.NeedsPerson(), show(out, plan, *write)
}

// open puts an app together: of the environment, as the identity that the settings name, or
// of the file, as a person.
func open(ctx context.Context, file string, lookup func(string) (string, bool), log *slog.Logger) (*app.App, *person, error) {
	if file == "" {
		settings, err := config.Load(lookup)
		if err != nil {
			return nil, nil, errors.Join(errors.New("the settings have mistakes; to work from a workstation, give the app's by -settings"), err)
		}
		a, err := app.New(settings, log)
		return a, nil, err
	}
	who, err := signedIn()
	if err != nil {
		return nil, nil, err
	}
	settings, err := load(ctx, file, who, log)
	if err != nil {
		return nil, nil, err
	}
	a, err := app.As(who, settings, log)
	if err != nil {
		return nil, nil, err
	}
	return a, who, who.reaches(ctx, a)
}

// rebuilder is what rebuilds on the services of a.
func rebuilder(a *app.App) (*rebuild.Rebuilder, error) {
	vault, ok := a.Rotator.Vault.(rebuild.Vault)
	if !ok {
		return nil, errors.New("the vault of this deployment can't be listed")
	}
	c := a.Connections
	return &rebuild.Rebuilder{
		Vault: vault, Records: c.Records, Reservations: c.Reservations, Claims: c.Claims, Directory: c.Directory, SignIns: c.Actors.SignIns,
		Refused: c.Refused, Deployment: a.Config.Deployment, Rules: a.Rotator.Rules, Log: a.Log,
	}, nil
}
