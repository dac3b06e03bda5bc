package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"rekey/shared/emulator/azurite"
	"rekey/shared/emulator/freeport"
	"rekey/shared/emulator/functionshost"
	"rekey/shared/emulator/stack"
)

// playsFunc makes this binary play the program func.
const playsFunc = "REKEY_TEST_PLAYS_FUNC"

// playFunc does what `func start` does before it is a host, and is one then: the variables
// of local.settings.json that are not set already are; without a worker runtime it would
// ask, without AzureWebJobsStorage it refuses to start a timer; and without a storage
// there no timer starts. Source: StartHostAction.cs of azure-functions-core-tools.
func playFunc() {
	if err := startAsFunc(os.Args[1:]); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func startAsFunc(args []string) error {
	if len(args) != 3 || args[0] != "start" || args[1] != "--port" {
		return fmt.Errorf("arguments %q", args)
	}
	data, err := os.ReadFile("local.settings.json")
	if err != nil {
		return err
	}
	file := struct {
		IsEncrypted bool
		Values      map[string]string
	}{IsEncrypted: true}
	if err := json.Unmarshal(data, &file); err != nil || file.IsEncrypted {
		return fmt.Errorf("local.settings.json can't be read, or is encrypted: %w", err)
	}
	for name, value := range file.Values {
		if _, set := os.LookupEnv(name); !set {
			os.Setenv(name, value)
		}
	}
	if os.Getenv("FUNCTIONS_WORKER_RUNTIME") != "custom" {
		return errors.New("select a worker runtime")
	}
	if err := blobStorage(os.Getenv("AzureWebJobsStorage")); err != nil {
		return fmt.Errorf("AzureWebJobsStorage: %w", err)
	}
	h, err := functionshost.New(functionshost.Config{Root: ".", Addr: "127.0.0.1:" + args[2], Env: os.Environ(), Stdout: os.Stdout})
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := h.Start(ctx); err != nil {
		return err
	}
	<-h.Done()
	return h.Err()
}

var blobEndpoint = regexp.MustCompile(`BlobEndpoint=([^;]+)`)

// blobStorage asks the storage that a connection string leads to.
func blobStorage(connection string) error {
	endpoint := "http://127.0.0.1:10000/devstoreaccount1" // of UseDevelopmentStorage=true
	if m := blobEndpoint.FindStringSubmatch(connection); m != nil {
		endpoint = m[1]
	} else if connection != developmentStorage {
		return fmt.Errorf("%q leads nowhere", connection)
	}
	resp, err := http.Get(endpoint + "?comp=list")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if server := resp.Header.Get("Server"); !strings.HasPrefix(server, "Azurite-Blob") {
		return fmt.Errorf("%s is %q, no blob service", endpoint, server)
	}
	return nil
}

// funcTool is this binary as the program func.
func funcTool(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	tool := filepath.Join(t.TempDir(), "func")
	script := "#!/bin/sh\n" + playsFunc + "=1 exec '" + self + "' \"$@\"\n"
	if err := os.WriteFile(tool, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return tool
}

// Under Core Tools, local.settings.json.example works as it is: the sample's original is
// revoked, which only the timer does; and when it is stopped nothing is left. With a table
// service in the settings the app runs with the services that they name.
func TestCoreTools(t *testing.T) {
	t.Parallel()
	azurite.ForTest(t).Stop() // skips where there is none
	root, tool := appRoot(t), funcTool(t)
	t.Run("the example", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), ".local")
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		out, ended := &screen{}, make(chan error, 1)
		c := coreTools{tool: tool, settings: "../../local.settings.json.example"}
		go func() { ended <- c.run(ctx, root, dir, freeport.ForTest(t), out) }()
		out.shows(t, "Ctrl-C stops everything", ended)
		find(t, out.String(), `original client secret (\S+) revoked`)
		env := demoEnv(t, dir)
		stop()
		if err := <-ended; err != nil {
			t.Errorf("stopping: %v", err)
		}
		closed(t, env)
	})
	t.Run("services of one's own", func(t *testing.T) {
		services, err := stack.Start(stack.Config{Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		defer services.Stop()
		values := map[string]string{"FUNCTIONS_WORKER_RUNTIME": "custom", "AzureWebJobsStorage": developmentStorage,
			"REKEY_ROTATION_SCHEDULE": "0 * * * * *"}
		for _, e := range services.Env() {
			name, value, _ := strings.Cut(e, "=")
			values[name] = value
		}
		data, err := json.Marshal(map[string]any{"IsEncrypted": false, "Values": values})
		if err != nil {
			t.Fatal(err)
		}
		settings, port := filepath.Join(t.TempDir(), "settings.json"), freeport.ForTest(t)
		if err := os.WriteFile(settings, data, 0o600); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		out, ended := &screen{}, make(chan error, 1)
		go func() { ended <- coreTools{tool: tool, settings: settings}.run(ctx, root, t.TempDir(), port, out) }()
		out.shows(t, "with the services of", ended)
		if shown := out.String(); !strings.Contains(shown, "handler ready") || strings.Contains(shown, "emulated") {
			t.Errorf("it shows %s", shown)
		}
		stop()
		if err := <-ended; err != nil || !closes(t, "http://127.0.0.1:"+port) {
			t.Errorf("stopping: %v", err)
		}
	})
}

// What is missing is said, with the way out, before anything is started.
func TestCoreToolsWithout(t *testing.T) {
	t.Parallel()
	settings := filepath.Join(t.TempDir(), "local.settings.json")
	err := coreTools{tool: "func", settings: settings}.run(t.Context(), "nowhere", t.TempDir(), freeport.ForTest(t), &screen{})
	if err == nil || !strings.Contains(err.Error(), "copy local.settings.json.example") {
		t.Errorf("without settings: %v", err)
	}
	storage := `{"Values":{"AzureWebJobsStorage":"DefaultEndpointsProtocol=https;AccountName=a","REKEY_TABLE_SERVICE":"x"}}`
	if err := os.WriteFile(settings, []byte(storage), 0o600); err != nil {
		t.Fatal(err)
	}
	c := coreTools{tool: filepath.Join(t.TempDir(), "func"), settings: settings}
	err = c.run(t.Context(), t.TempDir(), t.TempDir(), freeport.ForTest(t), &screen{})
	if err == nil || !strings.Contains(err.Error(), "install version 4") {
		t.Errorf("without func: %v", err)
	}
}
