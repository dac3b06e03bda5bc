package scan

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"

	"rekey/shared/inventory"
	"rekey/shared/inventory/catalog"
)

// scanner is the process that scans: it asks for a scan as the API does, plays the timer until
// that is over, without the time between its ticks, and writes down what it took.
func scanner(connectionID string) (code int) {
	ctx := context.Background()
	a := newApp(ctx, os.Environ())
	peak := watchHeap()
	began := time.Now()
	sc, err := a.Scans.Request(ctx, catalog.Request{ConnectionID: connectionID, By: "test"})
	tenantID, _ := inventory.TenantOfScan(sc.ID)
	for err == nil && (sc.Phase == inventory.Reading || sc.Phase == inventory.Writing) {
		var t inventory.Tenant
		if t, err = a.Scans.Store.Tenant(ctx, tenantID); err != nil {
			break
		}
		if sc = *t.Scan; sc.Phase == inventory.Reading || sc.Phase == inventory.Writing {
			time.Sleep(time.Until(t.WakeAt))
			_, err = a.Rotator.Sweep(ctx)
		}
	}
	m := measured{Scan: sc, Seconds: time.Since(began).Seconds(), HeapMB: float64(peak()) / (1 << 20)}
	if err == nil {
		m.RSSMB, err = resident()
	}
	var data []byte
	if err == nil {
		data, err = json.Marshal(m)
	}
	if err == nil {
		err = os.WriteFile(os.Getenv("REKEY_TEST_OUT"), data, 0o600)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// watchHeap samples how much memory objects take, of which some may be garbage, and returns the
// most of it.
func watchHeap() (peak func() uint64) {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	end, most := make(chan struct{}), make(chan uint64)
	go func() {
		var max uint64
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				metrics.Read(sample)
				if n := sample[0].Value.Uint64(); n > max {
					max = n
				}
			case <-end:
				most <- max
				return
			}
		}
	}()
	return func() uint64 { close(end); return <-most }
}

// resident is the most memory that this process has had, in MB.
func resident() (float64, error) {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, nil // there is none on this system
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "VmHWM:" {
			kb, err := strconv.ParseFloat(f[1], 64)
			return kb / 1024, err
		}
	}
	return 0, nil
}
