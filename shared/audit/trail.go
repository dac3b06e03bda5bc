package audit

import (
	"cmp"
	"context"
	"crypto/rand"
	"log/slog"
	"sync"
	"time"

	"rekey/shared/serviceerror"
)

const (
	// merging is for how long the same event is counted on one line.
	merging = time.Minute
	// maxLines is how many lines a minute of one process may have before what differs in reason or
	// address only is merged, too. Callers who are known have as many of their own: visitors must not
	// be able to hide their addresses.
	maxLines = 300
	// patience is how long a request waits for its line, and pause how long a line is left alone that
	// could not be written.
	patience = 2 * time.Second
	pause    = 10 * time.Second
)

// Trail writes lines that are no commit's: sign-ins and refusals. Any visitor can cause refusals, so
// that what they cost is bounded: within a minute the same event of the same caller is one line with a
// count, which is written again when it has doubled. So a flood costs a line a minute for each
// reason, and a write each time it doubles; the count that is kept may be up to half too low. Of
// callers who are not known the line has the address of the first; of the others each address has its
// line.
//
// A line is written before the request is answered, since a frozen process writes nothing later. If
// that fails or takes two seconds the request goes on: otherwise no person could sign in to find out
// why the table is away. Then the log has the whole line as a warning.
//
// Store, Now and Log are set once. A nil Trail writes nothing. Trail is safe for concurrent use.
type Trail struct {
	Store
	Now func() time.Time // nil: time.Now
	Log *slog.Logger     // nil: slog.Default()

	mu     sync.Mutex
	lines  map[same]*line
	many   map[bool]int // lines of callers who are known, and of others
	minute time.Time    // since when lines are counted
}

// same is what makes two events one line.
type same struct{ kind, by, how, role, from, reason string }

// line is one that is counted.
type line struct {
	Event
	id    string
	retry time.Time // when one that could not be written may be tried again; zero: it was written
}

// Add writes an event. Its time and count are the Trail's.
func (t *Trail) Add(ctx context.Context, e Event) {
	if t == nil {
		return
	}
	id, e, due := t.count(e)
	if !due {
		return
	}
	// A visitor who hangs up must not keep their own line from being written.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	if err := t.WriteAudit(ctx, id, e); err != nil {
		t.failed(id)
		t.log().WarnContext(ctx, "the audit could not be written", "class", string(serviceerror.ClassOf(err)), "event", e.Kind, "at", e.At,
			"caller", e.By, "kind", e.How, "role", e.Role, "from", e.From, "reason", e.Reason, "count", e.Count)
	}
}

// count finds the line of an event, and whether it is to be written now.
func (t *Trail) count(e Event) (id string, counted Event, due bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	if since := now.Sub(t.minute); t.lines == nil || since < 0 || since >= merging {
		t.lines, t.many, t.minute = map[same]*line{}, map[bool]int{}, now
	}
	key := same{e.Kind, e.By, e.How, e.Role, e.From, e.Reason}
	known := e.By != ""
	if !known {
		key.from = ""
	}
	l, ok := t.lines[key]
	if !ok && t.many[known] >= maxLines {
		key.from, key.reason, e.From, e.Reason = "", "", "", "several"
		l, ok = t.lines[key]
	}
	if !ok {
		e.At, e.Count = now.UTC().Truncate(time.Millisecond), 0
		l = &line{Event: e, id: rand.Text()}
		t.lines[key] = l
		t.many[known]++
	}
	l.Count++
	doubled := l.Count&(l.Count-1) == 0
	if l.retry.IsZero() && !doubled || now.Before(l.retry) {
		return "", Event{}, false
	}
	l.retry = time.Time{}
	return l.id, l.Event, true
}

// failed notes that a line could not be written. The next event of its kind tries again.
func (t *Trail) failed(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, l := range t.lines {
		if l.id == id {
			l.retry = t.now().Add(pause)
		}
	}
}

func (t *Trail) log() *slog.Logger { return cmp.Or(t.Log, slog.Default()) }

func (t *Trail) now() time.Time {
	if t.Now != nil {
		return t.Now()
	}
	return time.Now()
}
