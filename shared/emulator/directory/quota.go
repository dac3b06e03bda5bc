package directory

import (
	"net/http"
	"strconv"
	"time"
)

// Quotas are how many writes Graph takes before it answers 429. The zero Quotas
// refuse nothing.
//
// Each budget is a sliding window: no stretch of its length sees more writes than
// it has. The real one is a token bucket of unknown size
// (learn.microsoft.com/graph/throttling-limits), so that this is the strictest
// reading of the documented numbers. That refused writes cost nothing is assumed.
type Quotas struct {
	Application Budget // of one calling application in one tenant
	Tenant      Budget // of all applications in one tenant
	// Personal is what one calling application may change about applications
	// that personal accounts may use. The documentation does not say whose limit
	// this is.
	Personal Budget
	// Silent leaves Retry-After out, which Graph is known to do.
	Silent bool
}

// Budget is a number of writes in any stretch of time of that length; zero is no
// limit.
type Budget struct {
	Writes int
	Per    time.Duration
}

// DocumentedQuotas are those of learn.microsoft.com/graph/throttling-limits,
// identity and access. Of what costs resource units, and of the 70,000 writes in
// 5 minutes that one application may make in all tenants, the emulator knows nothing:
// Rekey stays far below.
func DocumentedQuotas() Quotas {
	return Quotas{
		Application: Budget{3000, 150 * time.Second},
		Tenant:      Budget{18000, 5 * time.Minute},
		Personal:    Budget{60, time.Minute},
	}
}

// Writes is how many writes the quotas were asked about, and how many each budget
// refused; a write that several refuse is counted for the first.
type Writes struct {
	Asked                         int
	Application, Tenant, Personal int // refused with 429
}

// Refused is how many writes got a 429 from a quota.
func (w Writes) Refused() int { return w.Application + w.Tenant + w.Personal }

// SetQuotas changes the quotas. What was written before counts where there was a
// limit before.
func (d *Directory) SetQuotas(q Quotas) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.config.Quotas = q
}

// Writes returns the count of writes since the directory was made.
func (d *Directory) Writes() Writes {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.writes
}

// spender is whose writes a budget counts.
type spender struct {
	scope       string // as the header x-ms-throttle-scope calls it, or "Personal"
	application string // client id, empty for a whole tenant
	tenant      string
}

// spend takes a write of who on target, nil if there is none such, out of the
// budgets, or refuses it. The caller holds d.mu.
func (d *Directory) spend(w http.ResponseWriter, who caller, target *application) *graphError {
	q := d.config.Quotas
	d.writes.Asked++
	type account struct {
		spender
		Budget
		refused *int
	}
	accounts := []account{
		{spender{"Tenant_Application", who.app.clientID, who.tenantID}, q.Application, &d.writes.Application},
		{spender{"Tenant", "", who.tenantID}, q.Tenant, &d.writes.Tenant},
	}
	if target != nil && target.personalAccounts() {
		accounts = append(accounts, account{spender{"Personal", who.app.clientID, who.tenantID}, q.Personal, &d.writes.Personal})
	}
	now := d.config.now()
	for _, a := range accounts {
		if pause := a.pause(d.spent[a.spender], now); pause > 0 {
			*a.refused++
			return q.refuse(w, a.spender, who, pause)
		}
	}
	for _, a := range accounts {
		if a.Writes > 0 {
			d.spent[a.spender] = append(a.recent(d.spent[a.spender]), now)
		}
	}
	return nil
}

// recent returns the writes that may still count, oldest first. The others are
// dropped in bulk, so that a write costs the same however many there were.
func (b Budget) recent(writes []time.Time) []time.Time {
	if len(writes) >= 2*b.Writes {
		writes = append(make([]time.Time, 0, 2*b.Writes), writes[len(writes)-b.Writes:]...)
	}
	return writes
}

// pause is how long to wait until there is room for another write.
func (b Budget) pause(writes []time.Time, now time.Time) time.Duration {
	if b.Writes == 0 || len(writes) < b.Writes {
		return 0
	}
	return writes[len(writes)-b.Writes].Add(b.Per).Sub(now)
}

// refuse answers with what Graph documents about throttled requests.
func (q Quotas) refuse(w http.ResponseWriter, s spender, who caller, pause time.Duration) *graphError {
	scope := s.scope
	if scope == "Personal" {
		scope = "Application"
	}
	w.Header().Set("x-ms-throttle-scope", scope+"/Write/"+who.app.clientID+"/"+who.tenantID)
	w.Header().Set("x-ms-throttle-information", "WriteLimitExceeded")
	if !q.Silent {
		seconds := int64((pause + time.Second - 1) / time.Second)
		w.Header().Set("Retry-After", strconv.FormatInt(seconds, 10))
	}
	return &graphError{http.StatusTooManyRequests, "TooManyRequests", "Please retry again later.", nil}
}
