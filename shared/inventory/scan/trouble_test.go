package scan_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"rekey/shared/history"
	"rekey/shared/inventory"
	"rekey/shared/serviceerror"
)

func permission() error {
	return &serviceerror.Error{Op: "listing", Class: serviceerror.Permission, Status: 403, Code: "Authorization_RequestDenied"}
}

// What is refused from some page on is left unread, and says what a person has to grant. The rows
// keep what an earlier scan read of that part, and show the rest.
func TestPermissionRemovedHalfWay(t *testing.T) {
	for list, grants := range map[inventory.List]string{
		inventory.FederatedIDs: "Application.Read.All", inventory.Principals: "Application.Read.All",
		inventory.Activity: "AuditLog.Read.All", inventory.Policy: "Policy.Read.All", inventory.Missing: "Application.Read.All",
	} {
		for page := 1; page <= 3; page++ {
			if page > 1 && (list == inventory.Policy || list == inventory.Missing) {
				continue
			}
			t.Run(fmt.Sprintf("%s, page %d", list, page), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					small(w)
					w.dir().longest = 60 * day
					gone := w.dir().add(1)
					w.scanned()
					w.tick(time.Hour)
					before := w.rows(tenantA)
					w.dir().remove(gone)
					added := w.dir().add(1)
					w.dir().longest = 30 * day
					w.request(conn)
					var reads atomic.Int32
					w.each(func(_ context.Context, call string) error {
						if call == "page "+string(list) || call == "exists" && list == inventory.Missing || call == "policy" && list == inventory.Policy {
							if reads.Add(1) == int32(page) {
								w.dir().refuse(list, permission())
							}
						}
						return nil
					})
					w.forget()
					got := w.finish(tenantA)
					w.each(nil)
					asked := 0
					for _, call := range w.forget() {
						if call == "exists" {
							asked++
						}
					}
					if asked != 1 { // for the one that is gone
						t.Errorf("looked for %d applications", asked)
					}
					if got.Scan.Phase != inventory.Complete || len(got.Unread) != 1 || len(got.Scan.Unread) != 1 {
						t.Fatalf("the scan is %+v, unread %+v", got.Scan, got.Unread)
					}
					if u := got.Unread[0]; u.List != list || u.Class != serviceerror.Permission || !strings.Contains(u.Message, grants) {
						t.Errorf("unread: %+v", u)
					}
					if want := map[bool]time.Duration{true: 60 * day, false: 30 * day}[list == inventory.Policy]; got.Longest != want {
						t.Errorf("the policy's longest life is %s, want %s", got.Longest, want)
					}
					after := w.rows(tenantA)
					for id, was := range before {
						is, ok := after[id]
						if !ok {
							if id != gone.clientID || list == inventory.Missing {
								t.Errorf("the row of %s is gone", was.Name)
							}
							continue
						}
						parts := func(a inventory.Application) string {
							return fmt.Sprint(a.Credentials, a.Federated, a.Owners, a.PrincipalID)
						}
						if parts(is) != parts(was) {
							t.Errorf("the row of %s is %+v, was %+v", was.Name, is, was)
						}
					}
					if _, ok := after[added.clientID]; !ok {
						t.Error("what was added since has no row")
					}
					w.dir().refuse(list, nil)
					w.tick(day + time.Hour)
					w.check(tenantA)
					if got := w.tenant(tenantA); len(got.Unread) != 0 || got.Longest != 30*day {
						t.Errorf("after the permission came back: unread %+v, longest %s", got.Unread, got.Longest)
					}
				})
			})
		}
	}
}

// Without the list of applications a scan fails and says what to grant. No row changes, and it is tried again
// more and more rarely, until the permission is there.
func TestApplicationsRefused(t *testing.T) {
	for page := 1; page <= 3; page++ {
		t.Run(fmt.Sprint("page ", page), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				small(w)
				first := w.scanned()
				w.tick(time.Hour)
				before := fmt.Sprint(w.rows(tenantA))
				w.dir().add(1)
				w.request(conn)
				var reads atomic.Int32
				w.each(func(_ context.Context, call string) error {
					if call == "page applications" {
						if reads.Add(1) == int32(page) {
							w.dir().refuse(inventory.Applications, permission())
						}
					}
					return nil
				})
				got := w.finish(tenantA)
				w.each(nil)
				p := got.Scan.Problem
				if got.Scan.Phase != inventory.Failed || p == nil || p.Class != serviceerror.Permission ||
					!strings.Contains(p.Message, "Application.Read.All") {
					t.Fatalf("the scan is %+v, its problem %+v", got.Scan, p)
				}
				if !got.AsOf.Equal(first.AsOf) || fmt.Sprint(w.rows(tenantA)) != before || w.kept(got.Scan.ID) != 0 {
					t.Errorf("a scan that failed has changed rows, or has left %d pages", w.kept(got.Scan.ID))
				}
				if one, err := w.store.Scan(t.Context(), got.Scan.ID); err != nil || one.Phase != inventory.Failed {
					t.Errorf("among the finished scans it is %+v (%v)", one, err)
				}
				w.forget()
				w.tick(5 * day)
				if tries := len(onlyReads(w.forget())); tries < 5 || tries > 12 {
					t.Errorf("%d tries in five days", tries)
				}
				if n := w.notices(history.InventoryFailed); len(n) != 1 || !strings.Contains(n[0].Message, "Application.Read.All") {
					t.Errorf("notices: %+v", n)
				}
				w.dir().refuse(inventory.Applications, nil)
				w.tick(day + 6*time.Hour)
				w.check(tenantA)
				if now := w.tenant(tenantA); now.Scan.Phase != inventory.Complete || now.Told {
					t.Errorf("after the permission came back: %+v", now.Scan)
				}
				if one, err := w.store.Scan(t.Context(), got.Scan.ID); err != nil || one.Phase != inventory.Failed || one.Problem == nil {
					t.Errorf("the scan that failed is %+v (%v)", one, err)
				}
			})
		})
	}
}

func onlyReads(calls []string) (reads []string) {
	for _, call := range calls {
		if strings.HasPrefix(call, "page ") {
			reads = append(reads, call)
		}
	}
	return reads
}

// A connection that can't sign in, is gone, or is of another tenant by now makes the scan fail, which
// shows, and is told once after two days. Another tenant's directory is never read for this one.
func TestSignInRefused(t *testing.T) {
	behind := serviceerror.ActorFailure("signing in", &serviceerror.Error{Class: serviceerror.CredentialExpired, Code: "AADSTS7000222"})
	for name, change := range map[string]func(*world){
		"refused":        func(w *world) { w.dir().signInRefused = behind },
		"gone":           func(w *world) { delete(w.dir().tenantOf, conn) },
		"another tenant": func(w *world) { w.dir().tenantOf[conn] = guid(0xb) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				small(w)
				w.scanned()
				before := fmt.Sprint(w.rows(tenantA))
				change(w)
				w.forget()
				w.tick(6 * day)
				calls := w.forget()
				got := w.tenant(tenantA)
				if p := got.Scan.Problem; got.Scan.Phase != inventory.Failed || p.Class != serviceerror.ActorRefused ||
					!strings.Contains(p.Message, "can't sign in") {
					t.Errorf("the scan is %+v, its problem %+v", got.Scan, p)
				}
				tokens := 0
				for _, call := range calls {
					if call == "token" {
						tokens++
					}
				}
				if len(onlyReads(calls)) != 0 || tokens < 5 || tokens > 12 {
					t.Errorf("%d reads and %d sign-ins in six days", len(onlyReads(calls)), tokens)
				}
				if n := w.notices(history.InventoryFailed); len(n) != 1 || n[0].ConnectionID != conn || n[0].TenantID != tenantA {
					t.Fatalf("notices: %+v", n)
				} else if after := n[0].At.Sub(got.AsOf); after < 2*day || after > 2*day+2*time.Minute {
					t.Errorf("told %s after the last scan", after)
				}
				if fmt.Sprint(w.rows(tenantA)) != before {
					t.Error("rows have changed")
				}
				// A scan through another connection helps.
				w.dir().signInRefused = nil
				w.dir().tenantOf["connection-2"] = tenantA
				w.request("connection-2")
				if got := w.finish(tenantA); got.Scan.Phase != inventory.Complete || got.ConnectionID != "connection-2" || got.Told {
					t.Errorf("through another connection: %+v", got.Scan)
				}
				w.check(tenantA)
			})
		})
	}
}

// A token that the directory does not take is replaced; one after the other that it does not take is
// a person's business.
func TestTokenThatIsNotTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		small(w)
		refuse := 2
		w.each(func(_ context.Context, call string) error {
			if call == "page service-principals" && refuse > 0 {
				refuse--
				return &serviceerror.Error{Op: "listing", Class: serviceerror.CredentialInvalid, Status: 401, Code: "InvalidAuthenticationToken"}
			}
			return nil
		})
		w.forget()
		w.scanned()
		w.check(tenantA)
		tokens := 0
		for _, call := range w.forget() {
			if call == "token" {
				tokens++
			}
		}
		if tokens != 3 {
			t.Errorf("%d sign-ins, want one more for each token that was not taken", tokens)
		}
		refuse = 1000
		w.request(conn)
		if got := w.finish(tenantA); got.Scan.Phase != inventory.Failed || got.Scan.Problem.Class != serviceerror.CredentialInvalid {
			t.Errorf("the scan is %+v", got.Scan)
		}
	})
}

// While Graph asks for a pause, nothing more is looked for, also where some of what was asked at once was answered.
func TestLookingWaitsAsLongAsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for range 100 {
			w.dir().add(1)
		}
		w.dir().add(1).name = "shown"
		w.scanned()
		w.dir().hide = map[string]bool{}
		for _, a := range w.dir().apps {
			w.dir().hide[a.clientID] = a.name != "shown"
		}
		w.request(conn)
		var mu sync.Mutex
		var until time.Time
		n, early, most := 0, 0, 0
		w.each(func(_ context.Context, call string) error {
			if call != "exists" {
				return nil
			}
			time.Sleep(time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			if early++; !time.Now().Before(until) {
				early = 0
			}
			most = max(most, early)
			if n++; n%10 != 0 {
				return nil
			}
			if early == 0 {
				until = time.Now().Add(time.Minute)
			}
			return &serviceerror.Error{Op: "looking", Class: serviceerror.Throttled, Status: 429, RetryAfter: time.Minute}
		})
		got := w.finish(tenantA)
		if most > 40 || got.Scan.Phase != inventory.Complete || len(got.Unread) != 0 { // 40 are asked at once
			t.Errorf("%d of %d while a pause was asked for; the scan is %+v", most, n, got.Scan)
		}
	})
}

// What comes and goes while a scan is under way is right in the end, and nothing that was there all the time
// ever loses its row.
func TestChangesDuringAScan(t *testing.T) {
	for n := 1; n <= 12; n++ {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			small(w)
			var doomed, stays []*app
			for range 6 {
				doomed = append(doomed, w.dir().add(1))
				stays = append(stays, w.dir().add(1))
			}
			w.scanned()
			w.request(conn)
			var reads atomic.Int32
			w.each(func(_ context.Context, call string) error {
				if strings.HasPrefix(call, "page ") {
					if reads.Add(1) >= int32(n) && len(doomed) > 0 { // with each one that goes a page leaves another one out
						w.dir().remove(doomed[0])
						doomed = doomed[1:]
						w.dir().add(1)
					}
				}
				return nil
			})
			got := w.finish(tenantA)
			rows := w.rows(tenantA)
			for _, a := range stays {
				if row, ok := rows[a.clientID]; !ok || len(row.Credentials) != 1 || row.ObjectID == "" || row.PrincipalID == "" {
					t.Errorf("from read %d on: the row of %s is %+v", n, a.name, row)
				}
			}
			if got.Scan.Phase != inventory.Complete {
				t.Errorf("the scan is %+v", got.Scan)
			}
			w.each(nil)
			w.scanned()
			w.check(tenantA)
		})
	}
}
