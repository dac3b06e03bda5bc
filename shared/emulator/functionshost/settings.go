package functionshost

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// The host's own defaults.
const (
	defaultFunctionTimeout       = 30 * time.Minute
	defaultInitializationTimeout = 30 * time.Second
)

// settings is what the host takes from host.json.
type settings struct {
	executable  string // absolute
	mode        Mode
	routePrefix string
	timeout     time.Duration // of one invocation; 0: none
	initTimeout time.Duration
	environment environment
}

// hostFile is host.json, as far as anything in it matters here. Members that the
// local host knows of but does not carry out are listed too, to be refused.
type hostFile struct {
	Version         json.RawMessage
	FunctionTimeout *string
	Retry           json.RawMessage
	Functions       []string
	HTTPWorker      json.RawMessage
	Extensions      struct {
		HTTP struct{ RoutePrefix *string }
	}
	ConfigurationProfile string
	CustomHandler        *customHandler
}

type customHandler struct {
	Description struct {
		DefaultExecutablePath string
		DefaultWorkerPath     string
		WorkingDirectory      string
		Arguments             []string
		WorkerArguments       []string
	}
	EnableForwardingHTTPRequest bool
	EnableProxyingHTTPRequest   bool
	InitializationTimeout       *string
	Port                        int
	HTTP                        json.RawMessage
}

// readSettings reads and checks host.json in root, collecting every mistake.
func readSettings(root string, env environment) (settings, error) {
	s := settings{timeout: defaultFunctionTimeout, initTimeout: defaultInitializationTimeout, routePrefix: "api", environment: env}
	data, err := os.ReadFile(filepath.Join(root, "host.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return s, fmt.Errorf("there is no host.json in %s: the app root has to be staged first (make stage)", root)
	}
	if err != nil {
		return s, fmt.Errorf("reading host.json: %w", err)
	}
	var file hostFile
	if err := json.Unmarshal(data, &file); err != nil {
		return s, fmt.Errorf("decoding host.json: %w", err)
	}
	errs := []error{file.unsupported(), env.overrides()}
	if string(file.Version) != `"2.0"` {
		errs = append(errs, errors.New(`version must be the string "2.0"`))
	}
	if prefix := file.Extensions.HTTP.RoutePrefix; prefix != nil {
		s.routePrefix = strings.Trim(*prefix, "/")
	}
	if text := file.FunctionTimeout; text != nil {
		d, err := parseTimeout(*text)
		errs = append(errs, wrap("functionTimeout", err))
		s.timeout = d
	}
	if file.CustomHandler == nil {
		errs = append(errs, errors.New("customHandler is missing"))
	} else {
		errs = append(errs, s.readHandler(root, file.CustomHandler))
	}
	return s, errors.Join(wrap("host.json", errors.Join(errs...)), env.storage())
}

func (s *settings) readHandler(root string, h *customHandler) error {
	var errs []error
	if text := h.InitializationTimeout; text != nil {
		d, err := parseTimeSpan(*text)
		if err == nil && d <= 0 {
			err = fmt.Errorf("%q is not positive", *text)
		}
		errs = append(errs, wrap("customHandler.initializationTimeout", err))
		s.initTimeout = d
	}
	switch {
	case h.EnableProxyingHTTPRequest:
		s.mode = Proxying
	case h.EnableForwardingHTTPRequest:
		s.mode = Forwarding
	default:
		errs = append(errs, errors.New("customHandler: switch on enableProxyingHttpRequest or enableForwardingHttpRequest; without them HTTP "+
			"requests arrive wrapped in JSON, which the local host does not do"))
	}
	path, err := s.environment.expand(h.Description.DefaultExecutablePath)
	if err == nil {
		s.executable, err = executable(root, path)
	}
	errs = append(errs, wrap("customHandler.description.defaultExecutablePath", err))
	return errors.Join(errs...)
}

// executable returns the absolute path of the handler. The real host would look
// for a name that is not in the app root in PATH; a handler that is not in the
// package is a mistake, so it is refused here.
func executable(root, path string) (string, error) {
	if path == "" {
		return "", errors.New("it is missing")
	}
	if filepath.IsAbs(path) || path != filepath.ToSlash(filepath.Clean(path)) || strings.HasPrefix(path, "../") {
		return "", fmt.Errorf("%q must be the plain relative path that the package's entry has (no ./): only that entry is made executable", path)
	}
	full := filepath.Join(root, filepath.FromSlash(path))
	info, err := os.Stat(full)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("%q is not in the app root %s: build it first (make stage)", path, root)
	case err != nil:
		return "", fmt.Errorf("looking for the handler: %w", err)
	case !info.Mode().IsRegular() || (runtime.GOOS != "windows" && info.Mode().Perm()&0o111 == 0):
		return "", fmt.Errorf("%q is no executable file; not every plan sets the executable bit", path)
	}
	return full, nil
}

// unsupported names what host.json asks for and the local host does not do.
func (f *hostFile) unsupported() error {
	var errs []error
	refuse := func(present bool, name, reason string) {
		if present {
			errs = append(errs, fmt.Errorf("%s: %s", name, reason))
		}
	}
	const notHere = "the local host does not support it"
	refuse(len(f.Retry) > 0, "retry", notHere)
	refuse(len(f.Functions) > 0, "functions", notHere)
	refuse(len(f.HTTPWorker) > 0, "httpWorker", "it is the deprecated name of customHandler")
	refuse(f.ConfigurationProfile != "", "configurationProfile", "the host does not start with it if there is a function.json")
	if h := f.CustomHandler; h != nil {
		refuse(len(h.HTTP) > 0, "customHandler.http", "the host does not start with it if there is a function.json")
		refuse(h.Port != 0, "customHandler.port", notHere)
		refuse(h.Description.WorkingDirectory != "", "customHandler.description.workingDirectory", notHere)
		refuse(h.Description.DefaultWorkerPath != "", "customHandler.description.defaultWorkerPath", notHere)
		refuse(len(h.Description.Arguments) > 0, "customHandler.description.arguments", notHere)
		refuse(len(h.Description.WorkerArguments) > 0, "customHandler.description.workerArguments", notHere)
	}
	return errors.Join(errs...)
}

// parseTimeout reads functionTimeout; "-1" is none, which gives 0.
func parseTimeout(text string) (time.Duration, error) {
	if text == "-1" {
		return 0, nil
	}
	d, err := parseTimeSpan(text)
	if err == nil && d < time.Second {
		err = fmt.Errorf("%q is less than a second", text)
	}
	return d, err
}

// parseTimeSpan reads .NET's [d.]hh:mm:ss[.fffffff].
func parseTimeSpan(text string) (time.Duration, error) {
	wrong := fmt.Errorf("%q is no time span hh:mm:ss", text)
	rest, days := text, 0
	if d, clock, ok := strings.Cut(text, "."); ok && !strings.Contains(d, ":") {
		n, err := strconv.ParseUint(d, 10, 16)
		if err != nil {
			return 0, wrong
		}
		rest, days = clock, int(n)
	}
	t, err := time.Parse("15:04:05", rest)
	if err != nil {
		return 0, wrong
	}
	return time.Duration(days)*24*time.Hour + t.Sub(t.Truncate(24*time.Hour)), nil
}

// environment is a list of NAME=value, as of os.Environ.
type environment []string

// lookup returns the last value of name, like the process that gets the list.
func (e environment) lookup(name string) (string, bool) {
	for i := len(e) - 1; i >= 0; i-- {
		if key, value, ok := strings.Cut(e[i], "="); ok && key == name {
			return value, true
		}
	}
	return "", false
}

// expand replaces every %NAME% in text by its value.
func (e environment) expand(text string) (string, error) {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(text, "%")
		b.WriteString(before)
		if !ok {
			return b.String(), nil
		}
		name, after, ok := strings.Cut(rest, "%")
		if !ok {
			return "", fmt.Errorf("%q has a single %%", text)
		}
		value, ok := e.lookup(name)
		if !ok {
			return "", fmt.Errorf("%%%s%% is not set: give it a value in the app settings (locally: in the environment or in local.settings.json)",
				name)
		}
		b.WriteString(value)
		text = after
	}
}

// overrides refuses the variables by which the real host lets the environment
// change host.json: ignored silently they would make a puzzling difference.
func (e environment) overrides() error {
	for _, entry := range e {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "AzureFunctionsJobHost__") {
			return fmt.Errorf("%s is set; the local host does not support overriding host.json, change the file", name)
		}
	}
	return nil
}

// storage refuses a setting with which the real host has no storage: before pull request
// 11794 it takes whatever there is for a connection string, and the variables of an
// identity beside it for nothing. HTTP functions go on, timers never start.
// Source: StorageClientProvider.cs.
func (e environment) storage() error {
	if value, ok := e.lookup("AzureWebJobsStorage"); ok && value == "" {
		return errors.New("AzureWebJobsStorage is set, and empty: hosts take that for a connection string and start no timer; " +
			"remove it (AzureWebJobsStorage__accountName needs it to be absent), or name a storage account in it")
	}
	return nil
}

// wrap puts prefix before err, if there is one.
func wrap(prefix string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", prefix, err)
}
