// Command picture signs in to the console of a demo that is running (make run) and takes a picture of
// the overview in a headless Chromium: docs/overview.png, for the README. `make picture` runs it; those
// of every page are taken by make console-check.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/chromedp/chromedp"
)

func main() {
	env := flag.String("env", ".local/demo.env", "what make run has left")
	out := flag.String("out", "docs", "folder for the picture")
	flag.Parse()
	if err := run(*env, *out); err != nil {
		fmt.Fprintln(os.Stderr, "picture:", err)
		os.Exit(1)
	}
}

func run(env, out string) error {
	settings, err := read(env)
	if err != nil {
		return err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.Flag("hide-scrollbars", true))
	ctx, stop := chromedp.NewExecAllocator(context.Background(), options...)
	defer stop()
	ctx, end := chromedp.NewContext(ctx)
	defer end()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	url := settings["REKEY_URL"]
	err = chromedp.Do(ctx, chromedp.EmulateViewport(1280, 900), chromedp.Navigate(url+"/console"), chromedp.WaitVisible(chromedp.CSS("#key")),
		chromedp.SendKeys(chromedp.CSS("#key"), settings["REKEY_API_KEY"]), chromedp.Click(chromedp.CSS("#by-key")),
		chromedp.WaitVisible(chromedp.CSS("body#overview")))
	if err != nil {
		return fmt.Errorf("signing in: %w", err)
	}
	return take(ctx, filepath.Join(out, "overview.png"))
}

// read reads what make run has left: the address, and a key.
func read(path string) (map[string]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading what make run leaves: %w", err)
	}
	settings := map[string]string{}
	for line := range strings.Lines(string(data)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		settings[name] = strings.Trim(value, "'")
	}
	if settings["REKEY_URL"] == "" || settings["REKEY_API_KEY"] == "" {
		return nil, errors.New("there is no address or no key in it; is make run up?")
	}
	return settings, nil
}

// take takes a picture of the page as it is.
func take(ctx context.Context, path string) error {
	picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		return fmt.Errorf("taking a picture: %w", err)
	}
	if err := os.WriteFile(path, picture, 0o644); err != nil {
		return fmt.Errorf("writing the picture: %w", err)
	}
	fmt.Println(path)
	return nil
}
