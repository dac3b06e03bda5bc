package simulation_test

import (
	"strings"
	"testing"
	"time"

	"rekey/shared/rotation"
	"rekey/shared/simulation"
)

// own is the beginning of a history with one connection that rotates its own secret.
const own = "world seed=3 shape=own instances=1 skew=0s lag=10s personal=false horizon=%s\n0s create on=own what=key for=48h0m0s n=30\n"

func history(t *testing.T, horizon string, actions ...string) simulation.History {
	t.Helper()
	h, err := simulation.Parse(strings.Replace(own, "%s", horizon, 1) + strings.Join(actions, "\n"))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// Where nothing goes wrong, nothing is broken: a month of an ordinary connection.
func TestAQuietHistoryBreaksNothing(t *testing.T) {
	r := simulation.Play(t, history(t, "1000h", "1h rotate on=own", "500h emergency on=own", "600h rename on=own what=a",
		"700h dry-run on=own what=rotate"))
	if len(r.Violations) != 0 || r.Cut || r.Calls < 200 {
		t.Errorf("%d calls, cut %t: %v", r.Calls, r.Cut, r.Violations)
	}
}

// What a broken Rekey would do is noticed.
func TestTheChecksNoticeABrokenRekey(t *testing.T) {
	for _, c := range []struct {
		name, kind string
		rules      func(*rotation.Rules)
		actions    []string
	}{
		{name: "what is published is removed", kind: "published-removed", actions: []string{"100h sabotage on=own what=remove-published"}},
		{name: "what is published is disabled", kind: "published-disabled", actions: []string{"100h sabotage on=own what=disable-published"}},
		{name: "what was removed is published", kind: "published-again", actions: []string{"50h emergency on=own",
			"100h sabotage on=own what=publish-removed"}},
		{name: "without proof", kind: "published-unproven", actions: []string{"50h emergency on=own",
			"100h sabotage on=own what=publish-removed"}},
		{name: "calls that outlast the lease", kind: "lease-outlasted", rules: func(r *rotation.Rules) {
			r.Lease, r.Skew = 40*time.Second,
				-5*time.Minute
		}},
		{name: "leases that end while a pass works", kind: "lease-not-held", rules: func(r *rotation.Rules) { r.Skew = -10 * time.Minute },
			actions: []string{"10h rotate on=own", "10h200ms rotate on=own", "10h300ms rotate on=own", "10h900ms rotate on=own",
				"20h rotate on=own", "20h200ms rotate on=own", "20h300ms rotate on=own"}},
		{name: "what is removed is never believed to be gone", kind: "delete-slow",
			rules: func(r *rotation.Rules) { r.LossPeriod = 300 * time.Hour }, actions: []string{"100h delete on=own what=revoke"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := history(t, "200h", c.actions...)
			if c.kind == "lease-not-held" {
				h.Instances = 3
			}
			r := simulation.PlayWith(t, h, simulation.Options{Rules: c.rules})
			if _, broke := r.Broke(c.kind); !broke {
				t.Errorf("%s was not noticed: %v", c.kind, r.Violations)
			}
			clean := simulation.Play(t, history(t, "200h"))
			if v, broke := clean.Broke(c.kind); broke {
				t.Errorf("without the defect: %v", v)
			}
		})
	}
}

// A deletion, while new credentials are being taken over that may be published already and what was current does not work
// any more: the new ones are proven, and the deletion gets on.
func TestADeletionBetweenTwoCredentials(t *testing.T) {
	const history = "world seed=944682 shape=own instances=1 skew=0s lag=21.976s personal=false horizon=427h\n" +
		"0s create on=own what=plain for=48h0m0s n=90\n22m51s operator on=own what=remove-current\n" +
		"13h16m create on=own what=key for=168h0m0s\n222h38m52s fault what=vault.publish mode=applied\n" +
		"401h25m22.141s credentials on=own what=same\n401h25m54.206s delete on=own what=revoke\n" +
		"401h25m54.278s weather on=own what=entra-disabled for=1h50m27s\n"
	h, err := simulation.Parse(history)
	if err != nil {
		t.Fatal(err)
	}
	if r := simulation.PlayWith(t, h, simulation.Options{}); len(r.Violations) != 0 {
		t.Error(r.Violations)
	}
}

// retiring is the beginning of a history with a target that retires one of the two client secrets
// that its application has.
const retiring = "world seed=3 shape=certificate instances=1 skew=0s lag=10s personal=false horizon=500h\n0s create on=parent\n" +
	"1m create on=target what=retire for=48h0m0s n=30\n"

// A target removes what its creator has named, once the grace period is over, and nothing else.
func TestATargetRetiresWhatWasNamed(t *testing.T) {
	play := func(actions string) (r simulation.Result, removed int) {
		h, err := simulation.Parse(retiring + actions)
		if err != nil {
			t.Fatal(err)
		}
		return simulation.PlayWith(t, h, simulation.Options{Lines: func(line string) {
			if strings.Contains(line, "graph.remove") && strings.HasSuffix(line, " ok") {
				removed++
			}
		}}), removed
	}
	if r, removed := play(""); len(r.Violations) != 0 || removed != 1 {
		t.Errorf("%d were removed: %v", removed, r.Violations)
	}
	for kind, action := range map[string]string{
		"retired-unasked": "20h sabotage on=target what=retire", "retired-early": "20h sabotage on=target what=retire",
		"retired-never": "400h sabotage on=target what=retire-more",
	} {
		r, _ := play(action)
		if _, broke := r.Broke(kind); !broke {
			t.Errorf("%s was not noticed: %v", kind, r.Violations)
		}
	}
}

// A write that is applied late answers with a time-out and lands when its delay is over,
// in whatever process lives then.
func TestALateWriteLands(t *testing.T) {
	var sent, landed string
	r := simulation.PlayWith(t, history(t, "300h", "100h fault what=vault.publish mode=late for=6m", "100h1s emergency on=own",
		"100h2m operator what=crash on=own"), simulation.Options{Lines: func(line string) {
		switch {
		case strings.Contains(line, "fault vault.publish late"):
			sent = line
		case strings.Contains(line, "vault.publish") && strings.Contains(line, "late: ok"):
			landed = line
		}
	}})
	if sent == "" || landed == "" {
		t.Fatalf("sent %q, landed %q: %v", sent, landed, r.Violations)
	}
	at := func(line string) time.Duration {
		d, err := time.ParseDuration(strings.Fields(line)[0])
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	if delay := at(landed) - at(sent); delay != 6*time.Minute {
		t.Errorf("it landed %s after it was sent", delay)
	}
}

// Each of these faults is played and told in the trace, and without another Rekey copes.
func TestEveryFaultIsPlayed(t *testing.T) {
	for _, mode := range []string{"lost", "applied", "crash-before", "crash-after"} {
		for _, op := range []string{"graph.add", "graph.remove", "vault.publish", "vault.stage", "vault.disable", "store.commit"} {
			played := false
			r := simulation.PlayWith(t, history(t, "300h", "100h fault what="+op+" mode="+mode+" n=1", "100h1s emergency on=own",
				"130h emergency on=own"), simulation.Options{
				Lines: func(line string) { played = played || strings.Contains(line, "fault "+op+" "+mode) },
			})
			if !played || len(r.Violations) != 0 {
				t.Errorf("%s %s: played %t, %v", op, mode, played, r.Violations)
			}
		}
	}
}

// Instances have clocks of their own, as far apart as the history says.
func TestClocksDiffer(t *testing.T) {
	h := history(t, "900h")
	h.Instances, h.Skew = 3, time.Minute
	r := simulation.Play(t, h)
	alone := h
	alone.Instances, alone.Skew = 1, 0
	if other := simulation.Play(t, alone); len(r.Violations) != 0 || r.Trace == other.Trace {
		t.Errorf("%v", r.Violations)
	}
}

// Every seed's text is the history again.
func TestTheTextOfAHistoryIsRead(t *testing.T) {
	for seed := range uint64(300) {
		h := simulation.New(seed)
		got, err := simulation.Parse(h.String())
		if err != nil || got.String() != h.String() || len(got.Actions) != len(h.Actions) {
			t.Fatalf("seed %d: %v\n%s\n%s", seed, err, h, got)
		}
	}
	for _, wrong := range []string{"", "1h rotate", "world seed=x shape=own instances=1", "world shape=own instances=1\n1h",
		"world shape=own instances=1\n1x rotate", "world shape=own instances=1\n1h rotate at=3"} {
		if _, err := simulation.Parse(wrong); err == nil {
			t.Errorf("%q was read", wrong)
		}
	}
}
