package functionshost

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"
)

// scheduleStatus is what the host remembers of a timer. The real one keeps it in
// a blob of its storage account (StorageScheduleMonitor).
type scheduleStatus struct {
	Last        netTime // zero if it never ran
	Next        netTime // as planned from Last, or from LastUpdated
	LastUpdated netTime
}

// netTime is a time as .NET writes a DateTimeOffset: up to seven digits of
// fraction without trailing zeros, and a numeric offset.
type netTime struct{ time.Time }

func (t netTime) MarshalJSON() ([]byte, error) {
	return []byte(t.UTC().Truncate(100).Format(`"2006-01-02T15:04:05.9999999-07:00"`)), nil
}

// statusFile keeps the status of every timer, in memory and, if it has a path,
// in a file.
type statusFile struct {
	path     string
	mu       sync.Mutex
	statuses map[string]scheduleStatus
}

func openStatusFile(path string) (*statusFile, error) {
	f := &statusFile{path: path, statuses: make(map[string]scheduleStatus)}
	if path == "" {
		return f, nil
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the timers' status: %w", err)
	}
	if err := json.Unmarshal(data, &f.statuses); err != nil {
		return nil, fmt.Errorf("decoding the timers' status in %s (delete it to start afresh): %w", path, err)
	}
	if f.statuses == nil { // the file holds null
		f.statuses = make(map[string]scheduleStatus)
	}
	return f, nil
}

func (f *statusFile) get(name string) (scheduleStatus, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	status, ok := f.statuses[name]
	return status, ok
}

// set keeps status. The file is replaced as a whole, so that a host killed in
// the middle leaves the old one.
func (f *statusFile) set(name string, status scheduleStatus) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.statuses[name] = status
	if f.path == "" {
		return nil
	}
	data, err := json.MarshalIndent(f.statuses, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the timers' status: %w", err)
	}
	if err := os.WriteFile(f.path+".new", data, 0o600); err != nil {
		return fmt.Errorf("writing the timers' status: %w", err)
	}
	if err := os.Rename(f.path+".new", f.path); err != nil {
		return fmt.Errorf("writing the timers' status: %w", err)
	}
	return nil
}
