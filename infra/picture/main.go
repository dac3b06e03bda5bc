// Command picture signs in to the console of a demo that is running (make run) and takes pictures of
// its pages in a headless Chromium: docs/overview.png for the README, or with -all every page that
// the navigation leads to, and one of each kind below it. `make picture` runs it.
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

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

func main() {
	env := flag.String("env", ".local/demo.env", "what make run has left")
	out := flag.String("out", "docs", "folder for the pictures")
	all := flag.Bool("all", false, "pictures of every page, light, dark and narrow")
	flag.Parse()
	if err := run(*env, *out, *all); err != nil {
		fmt.Fprintln(os.Stderr, "picture:", err)
		os.Exit(1)
	}
}

func run(env, out string, all bool) error {
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
	if !all {
		return take(ctx, filepath.Join(out, "overview.png"))
	}
	return every(ctx, url, out)
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

// every takes pictures of all pages.
func every(ctx context.Context, url, out string) error {
	paths := []string{"", "/connections", "/targets", "/inventory", "/settings", "/connect"}
	for _, list := range []string{"/connections", "/inventory"} {
		if err := chromedp.Do(ctx, chromedp.Navigate(url+"/console"+list)); err != nil {
			return fmt.Errorf("opening %s: %w", list, err)
		}
		first, err := chromedp.Run(ctx, chromedp.Evaluate[string](`(document.querySelector("tbody a") || {pathname: ""}).pathname`))
		if err != nil {
			return fmt.Errorf("looking for what is on %s: %w", list, err)
		}
		if first = strings.TrimPrefix(first, "/console"); first != "" {
			paths = append(paths, first)
		}
	}
	for _, look := range []struct {
		name, scheme  string
		width, height int64
	}{{"light", "light", 1280, 900}, {"dark", "dark", 1280, 900}, {"narrow", "light", 360, 740}} {
		if err := chromedp.Do(ctx, chromedp.EmulateViewport(look.width, look.height), scheme(look.scheme)); err != nil {
			return fmt.Errorf("setting the size: %w", err)
		}
		for _, path := range paths {
			if err := chromedp.Do(ctx, chromedp.Navigate(url+"/console"+path)); err != nil {
				return fmt.Errorf("opening %s: %w", path, err)
			}
			name := strings.ReplaceAll(strings.Trim("console"+path, "/"), "/", "_")
			if err := take(ctx, filepath.Join(out, name+"-"+look.name+".png")); err != nil {
				return err
			}
		}
	}
	return nil
}

func scheme(name string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}})
		return err
	})
}
