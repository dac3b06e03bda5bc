package connections_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"rekey/shared/activity"
	"rekey/shared/auth"
	"rekey/shared/connection"
	"rekey/shared/rotation"
)

// What comes next is shown of connections and of targets, with what is not known as null.
func TestUpcoming(t *testing.T) {
	asked := 0
	s := service{upcoming: func(limit int) (connection.Upcoming, error) {
		asked = limit
		ends := now.AddDate(0, 2, 0)
		return connection.Upcoming{Until: now.Add(2 * time.Hour), Rotations: []connection.NextRotation{
			{At: now, Record: rotation.Record{ID: id, Name: "billing", VaultName: "v", TargetName: "Pay",
				Target: rotation.Application{TenantID: "t", ClientID: "c", ObjectID: "o"}, Current: &rotation.Credential{ExpiresAt: ends}}},
			{At: now.Add(time.Hour), Record: rotation.Record{ID: "target", Via: id, Name: "payroll", VaultName: "w",
				Current: &rotation.Credential{}}},
		}}, nil
	}}
	for query, want := range map[string]int{"": 10, "?limit=1": 1, "?limit=100": 100} {
		w, _ := askOf(t, handler(s, auth.Read), http.MethodGet, "/azure-client-secrets/upcoming"+query, "")
		got := strings.Join(strings.Fields(w.Body.String()), "")
		if w.Code != http.StatusOK || asked != want || got != `{"completeUntil":"2026-07-01T14:00:00Z","upcoming":[`+
			`{"at":"2026-07-01T12:00:00Z","connectionId":"`+id+`","targetId":null,"name":"billing","vaultSecretName":"v",`+
			`"application":{"tenantId":"t","clientId":"c"},"applicationName":"Pay","expiresAt":"2026-09-01T12:00:00Z"},`+
			`{"at":"2026-07-01T13:00:00Z","connectionId":"`+id+`","targetId":"target","name":"payroll","vaultSecretName":"w",`+
			`"application":{"tenantId":"","clientId":""},"applicationName":null,"expiresAt":null}]}` {
			t.Errorf("%q asked for %d, want %d: status %d: %s", query, asked, want, w.Code, got)
		}
	}
	nothing := service{upcoming: func(int) (connection.Upcoming, error) { return connection.Upcoming{}, nil }}
	if w, _ := ask(t, nothing, http.MethodGet, "/azure-client-secrets/upcoming", ""); strings.Join(strings.Fields(w.Body.String()), "") !=
		`{"completeUntil":null,"upcoming":[]}` {
		t.Errorf("of nothing: %s", w.Body)
	}
}

func TestActivity(t *testing.T) {
	asked := 0
	s := service{activity: func(weeks int) ([]activity.Week, error) {
		asked = weeks
		return []activity.Week{{Start: activity.WeekOf(now), Succeeded: 3, Failed: 1}, {Start: activity.WeekOf(now).AddDate(0, 0, 7)}}, nil
	}}
	for query, want := range map[string]int{"": 12, "?weeks=1": 1, "?weeks=52": 52} {
		w, _ := askOf(t, handler(s, auth.Read), http.MethodGet, "/azure-client-secrets/activity"+query, "")
		got := strings.Join(strings.Fields(w.Body.String()), "")
		if w.Code != http.StatusOK || asked != want || got != `{"weeks":[{"start":"2026-06-29T00:00:00Z","succeeded":3,"failed":1},`+
			`{"start":"2026-07-06T00:00:00Z","succeeded":0,"failed":0}]}` {
			t.Errorf("%q asked for %d, want %d: status %d: %s", query, asked, want, w.Code, got)
		}
	}
}

func TestOverviewRefuses(t *testing.T) {
	down := &connection.Error{Kind: connection.Unavailable, Message: "Table storage does not answer.", RetryAfter: time.Second}
	s := service{
		upcoming: func(int) (connection.Upcoming, error) { return connection.Upcoming{}, down },
		activity: func(int) ([]activity.Week, error) { return nil, down },
	}
	for path, want := range map[string]struct {
		status int
		says   string
	}{
		"upcoming?limit=0": {400, "limit must be 1 to 100"}, "upcoming?limit=101": {400, "limit must be 1 to 100"},
		"upcoming?limit=x": {400, "limit must be"}, "activity?weeks=0": {400, "weeks must be 1 to 52"},
		"activity?weeks=53": {400, "weeks must be 1 to 52"}, "activity?weeks=1.5": {400, "weeks must be"},
		"upcoming": {503, "does not answer"}, "activity": {503, "does not answer"},
	} {
		w, _ := ask(t, s, http.MethodGet, "/azure-client-secrets/"+path, "")
		if w.Code != want.status || !strings.Contains(w.Body.String(), want.says) {
			t.Errorf("%s: status %d, want %d: %s", path, w.Code, want.status, w.Body)
		}
	}
}
