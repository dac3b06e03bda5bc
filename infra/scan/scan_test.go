package scan

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rekey/shared/app"
	"rekey/shared/config"
	"rekey/shared/connection"
	"rekey/shared/emulator/directory"
	"rekey/shared/emulator/stack"
	"rekey/shared/emulator/table"
	"rekey/shared/emulator/tenant"
	"rekey/shared/inventory"
	"rekey/shared/inventory/catalog"
	"rekey/shared/secret"
)

var applications = flag.Int("applications", 250, "how many applications the tenant has")

func TestMain(m *testing.M) {
	if id := os.Getenv(scannedConnection); id != "" {
		os.Exit(scanner(id))
	}
	m.Run()
}

// world is an emulated tenant with a connection that may read everything.
type world struct {
	*stack.Stack
	env        []string
	truth      *tenant.Truth
	connection string
	own        []string // client ids of applications that are there besides
	app        *app.App
}

func newWorld(t *testing.T, n int) *world {
	t.Helper()
	s, err := stack.Start(stack.Config{Dir: t.TempDir(), Quotas: directory.DocumentedQuotas()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Stop() })
	w := &world{Stack: s, env: append(s.Env(), "REKEY_DEPLOYMENT=test")}
	w.truth, err = tenant.Generate(tenant.Config{
		Directory: s.Directory, TenantID: s.TenantID, Seed: 14, Applications: n, Now: time.Now(), Deployment: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	reader, err := s.Directory.AddApplication(directory.Registration{TenantID: s.TenantID, Settings: directory.Settings{
		DisplayName: "reader",
		Roles:       []string{directory.RoleReadAll, directory.RoleUserReadAll, directory.RoleAuditLogReadAll, directory.RolePolicyReadAll},
	}})
	if err != nil {
		t.Fatal(err)
	}
	w.own = []string{reader.ClientID, s.OwnClientID()}
	w.app = newApp(t.Context(), w.env)
	rec, err := w.app.Connections.Create(t.Context(), connection.Input{Name: "reader", By: "test", Credentials: connection.Credentials{
		Method: connection.ClientSecret, TenantID: s.TenantID, ClientID: reader.ClientID, ClientSecret: secret.New(reader.Secret),
	}})
	if err != nil {
		t.Fatal(err)
	}
	w.connection = rec.ID
	return w
}

// newApp is the whole app with settings of that form: NAME=value.
func newApp(_ context.Context, env []string) *app.App {
	c, err := config.Load(func(name string) (string, bool) {
		for _, e := range slices.Backward(env) {
			if value, ok := strings.CutPrefix(e, name+"="); ok {
				return value, true
			}
		}
		return "", false
	})
	if err != nil {
		panic(err)
	}
	a, err := app.New(c, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		panic(err)
	}
	return a
}

// rows are those of the tenant, by client id, without when they were seen and what was found then.
func (w *world) rows(t *testing.T) map[string]inventory.Application {
	t.Helper()
	rows := map[string]inventory.Application{}
	err := w.app.Scans.Store.Rows(t.Context(), w.TenantID, func(r catalog.Row) error {
		r.FirstSeenAt, r.ChangedAt, r.Noted = time.Time{}, time.Time{}, nil
		rows[r.ClientID] = r.Application
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// check compares every row with the tenant: all of it, and nothing else.
func (w *world) check(t *testing.T, r *inventory.Result) {
	t.Helper()
	rows := w.rows(t)
	for _, id := range w.own {
		if _, ok := rows[id]; !ok {
			t.Errorf("%s has no row", id)
		}
		delete(rows, id)
	}
	credentials := 0
	for _, want := range w.truth.Applications() {
		credentials += len(want.Credentials)
		if got, wanted := text(t, rows[want.ClientID]), text(t, want); got != wanted {
			t.Errorf("the row is %s\nwant       %s", got, wanted)
		}
		delete(rows, want.ClientID)
	}
	if left := slices.Sorted(maps.Keys(rows)); len(left) > 0 {
		t.Errorf("rows of what is not there: %v", left)
	}
	n, more := len(w.truth.Applications())+len(w.own), r.Credentials-credentials
	if r.Applications != n || more < 0 || more > len(w.own) {
		t.Errorf("the result counts %d applications with %d credentials, want %d with %d or a few more",
			r.Applications, r.Credentials, n, credentials)
	}
}

// text is an application as it is stored.
func text(t *testing.T, a inventory.Application) string {
	t.Helper()
	data, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// The first scan of a large and ugly tenant finds what is there, to the letter; the second one
// writes what has changed, and nothing else. Both stay within Graph's limits by themselves.
func TestScanOfATenant(t *testing.T) {
	w := newWorld(t, *applications)
	first := w.scan(t, "first scan")
	w.check(t, first.Scan.Result)
	if n := len(w.truth.Applications()); first.Scan.Rows < n || first.Scan.Result.Added < n {
		t.Errorf("the first scan wrote %d rows and added %d applications", first.Scan.Rows, first.Scan.Result.Added)
	}
	w.same(t, first.Scan)
	second := w.scan(t, "second scan, nothing has changed")
	w.check(t, second.Scan.Result)
	want := w.passed(first.Scan.StartedAt, second.Scan.StartedAt)
	if r := second.Scan.Result; second.Scan.Rows != want || r.Added+r.Changed+r.Gone != 0 {
		t.Errorf("the second scan wrote %d rows, want %d: %+v", second.Scan.Rows, want, r)
	}
	changed := w.change(t)
	third := w.scan(t, fmt.Sprintf("third scan, %d applications have changed", changed))
	w.check(t, third.Scan.Result)
	if r := third.Scan.Result; r.Added+r.Changed+r.Gone < changed || third.Scan.Rows == 0 || third.Scan.Rows > 50*changed {
		t.Errorf("the third scan wrote %d rows: %+v", third.Scan.Rows, r)
	}
	for _, m := range []measured{first, second, third} {
		if m.Throttled > 2 { // where a stretch of time begins may be seen differently
			t.Errorf("%d requests were refused with 429", m.Throttled)
		}
		if m.HeapMB > 100 {
			t.Errorf("%.0f MB of objects", m.HeapMB)
		}
	}
}

// passed counts the applications of which a credential has come nearer to its end in between, so that
// what is worth a notice has changed: some end to the second in so many days.
func (w *world) passed(from, to time.Time) (n int) {
	worthy := func(a *inventory.Application, at time.Time) (found []string) {
		facts := inventory.Facts{Deployment: "test", AsOf: at, Owners: true, Known: true}
		for _, f := range inventory.Findings(at, a, facts, nil) {
			if f.Kind.Worthy() {
				found = append(found, string(f.Kind)+f.KeyID)
			}
		}
		return found
	}
	for _, a := range w.truth.Applications() {
		if !slices.Equal(worthy(&a, from), worthy(&a, to)) {
			n++
		}
	}
	return n
}

// same compares the counts of findings with what is found about the truth.
func (w *world) same(t *testing.T, sc inventory.Scan) {
	t.Helper()
	want := map[inventory.FindingKind]int{}
	facts := inventory.Facts{Deployment: "test", AsOf: sc.StartedAt, Longest: sc.Longest, Activity: true, Owners: true, Known: true}
	for _, a := range w.truth.Applications() {
		seen := map[inventory.FindingKind]bool{}
		for _, f := range inventory.Findings(sc.StartedAt, &a, facts, nil) {
			if !seen[f.Kind] {
				seen[f.Kind] = true
				want[f.Kind]++
			}
		}
	}
	for _, kind := range inventory.Kinds {
		if got := sc.Result.Findings[kind]; got < want[kind] || got > want[kind]+len(w.own) {
			t.Errorf("%d applications are %s, want %d", got, kind, want[kind])
		}
	}
}

// change changes a hundredth of the tenant, and returns how many applications that are at least.
func (w *world) change(t *testing.T) (n int) {
	t.Helper()
	all := w.truth.Applications()
	for i := 0; i < len(all); i += 300 {
		_, err := w.truth.AddSecret(all[i].ClientID, "new", time.Now(), time.Now().Add(90*24*time.Hour))
		if err == nil {
			err = w.truth.Delete(all[i+1].ClientID)
		}
		if err == nil {
			_, err = w.truth.Create()
		}
		if err != nil {
			t.Fatal(err)
		}
		n += 3
	}
	return n
}

// measured is what a scan took.
type measured struct {
	Scan          inventory.Scan
	Seconds       float64
	HeapMB, RSSMB float64
	Reads         map[string]int // requests to the table, by operation
	Throttled     int
}

// scannedConnection is in the environment of the process that scans.
const scannedConnection = "REKEY_TEST_SCANNED_CONNECTION"

// scan scans the tenant in a process of its own, and prints what that took.
func (w *world) scan(t *testing.T, name string) (m measured) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "measured.json")
	before, refused := w.Calls(), w.Directory.KeyReads().Refused
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(slices.Clone(w.env), scannedConnection+"="+w.connection, "REKEY_TEST_OUT="+out, "HOME="+t.TempDir())
	log, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, log)
	}
	data, err := os.ReadFile(out)
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	if err != nil || m.Scan.Phase != inventory.Complete || len(m.Scan.Unread) > 0 {
		t.Fatalf("%s: %+v (%v)\n%s", name, m.Scan, err, log)
	}
	m.Throttled = w.Directory.KeyReads().Refused - refused
	m.Reads = map[string]int{}
	calls := 0
	for _, op := range []string{table.OpInsert, table.OpGet, table.OpMerge, table.OpReplace, table.OpDelete, table.OpQuery, table.OpBatch} {
		if n := w.Calls()[op] - before[op]; n > 0 {
			m.Reads[op] = n
			calls += n
		}
	}
	r := m.Scan.Result
	t.Logf("%s: %d applications, %d credentials; %.0f s; %d calls to Graph; %d rows written; %d table requests %v",
		name, r.Applications, r.Credentials, m.Seconds, m.Scan.Calls, m.Scan.Rows, calls, m.Reads)
	t.Logf("%s: at most %.0f MB of objects, %.0f MB resident", name, m.HeapMB, m.RSSMB)
	return m
}
