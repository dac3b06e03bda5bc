package directory

import (
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Quotas are how many writes, and reads of certificates, Graph takes before it answers
// 429. The zero Quotas refuse nothing.
//
// Each budget is a sliding window: no stretch of its length sees more requests than
// it has. The real one is a token bucket of unknown size
// (learn.microsoft.com/graph/throttling-limits), so that this is the strictest
// reading of the documented numbers. That refused requests cost nothing is assumed.
type Quotas struct {
	Application Budget // of one calling application in one tenant
	Tenant      Budget // of all applications in one tenant
	// Personal is what one calling application may change about applications
	// that personal accounts may use. The documentation does not say whose limit
	// this is.
	Personal Budget
	// KeyReads is how many reads in one tenant, of all callers, may ask for keyCredentials by
	// name.
	KeyReads Budget
	// Silent leaves Retry-After out, which Graph is known to do.
	Silent bool
}

// Budget is a number of requests in any stretch of time of that length; zero is no
// limit.
type Budget struct {
	Requests int
	Per      time.Duration
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
		KeyReads:    Budget{150, time.Minute},
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

// spender is whose requests a budget counts.
type spender struct {
	budget      string
	application string // client id, empty for a whole tenant
	tenant      string
}

// KeyReads is how many reads asked for keyCredentials by name.
type KeyReads struct{ Asked, Refused int }

// KeyReads returns the count of such reads since the directory was made.
func (d *Directory) KeyReads() KeyReads {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.keyReads
}

// spendKeyRead takes a read out of the tenant's budget, if it asks for keyCredentials, or
// refuses it. What such a refusal says of its scope is assumed.
// Source: learn.microsoft.com/graph/api/application-list, optional query parameters.
func (d *Directory) spendKeyRead(w http.ResponseWriter, q query, who caller) *graphError {
	if !slices.Contains(q.selected, keyCredentials) {
		return nil
	}
	d.keyReads.Asked++
	quotas, s, now := d.config.Quotas, spender{"KeyReads", "", who.tenantID}, d.config.now()
	if pause := quotas.KeyReads.pause(d.spent[s], now); pause > 0 {
		d.keyReads.Refused++
		return quotas.refuse(w, "Tenant/Read", who, pause)
	}
	d.record(s, quotas.KeyReads, now)
	return nil
}

// record takes a request out of a budget.
func (d *Directory) record(s spender, b Budget, now time.Time) {
	if b.Requests > 0 {
		d.spent[s] = append(b.recent(d.spent[s]), now)
	}
}

// spend takes a write of who on target, nil if there is none such, out of the
// budgets, or refuses it. The caller holds d.mu.
func (d *Directory) spend(w http.ResponseWriter, who caller, target *application) *graphError {
	q := d.config.Quotas
	d.writes.Asked++
	type account struct {
		spender
		said string // its scope, as x-ms-throttle-scope says it
		Budget
		refused *int
	}
	accounts := []account{
		{spender{"Tenant_Application", who.app.clientID, who.tenantID}, "Tenant_Application", q.Application, &d.writes.Application},
		{spender{"Tenant", "", who.tenantID}, "Tenant", q.Tenant, &d.writes.Tenant},
	}
	if target != nil && target.personalAccounts() {
		accounts = append(accounts, account{spender{"Personal", who.app.clientID, who.tenantID}, "Application", q.Personal, &d.writes.Personal})
	}
	now := d.config.now()
	for _, a := range accounts {
		if pause := a.pause(d.spent[a.spender], now); pause > 0 {
			*a.refused++
			w.Header().Set("x-ms-throttle-information", "WriteLimitExceeded")
			return q.refuse(w, a.said+"/Write", who, pause)
		}
	}
	for _, a := range accounts {
		d.record(a.spender, a.Budget, now)
	}
	return nil
}

// recent returns the requests that may still count, oldest first. The others are
// dropped in bulk, so that a request costs the same however many there were.
func (b Budget) recent(requests []time.Time) []time.Time {
	if len(requests) >= 2*b.Requests {
		requests = append(make([]time.Time, 0, 2*b.Requests), requests[len(requests)-b.Requests:]...)
	}
	return requests
}

// pause is how long to wait until there is room for another request.
func (b Budget) pause(requests []time.Time, now time.Time) time.Duration {
	if b.Requests == 0 || len(requests) < b.Requests {
		return 0
	}
	return requests[len(requests)-b.Requests].Add(b.Per).Sub(now)
}

// refuse answers with what Graph documents about throttled requests.
func (q Quotas) refuse(w http.ResponseWriter, scope string, who caller, pause time.Duration) *graphError {
	w.Header().Set("x-ms-throttle-scope", scope+"/"+who.app.clientID+"/"+who.tenantID)
	if !q.Silent {
		seconds := int64((pause + time.Second - 1) / time.Second)
		w.Header().Set("Retry-After", strconv.FormatInt(seconds, 10))
	}
	return &graphError{http.StatusTooManyRequests, "TooManyRequests", "Please retry again later.", nil}
}
