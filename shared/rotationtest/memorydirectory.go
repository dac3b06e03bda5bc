package rotationtest

import (
	"context"
	"fmt"
	"strings"
	"time"

	"rekey/shared/rotator"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"

	"rekey/shared/rotation"
)

// MemoryDirectory is Entra and Graph in memory, for one tenant.
type MemoryDirectory struct {
	// Propagation is how long a change takes until the token endpoint and the
	// reads show it.
	Propagation time.Duration
	// Refuse, if set, is what AddPassword answers.
	Refuse *serviceerror.Error
	// Issued counts the credentials that AddPassword made.
	Issued int
	// Quota is how many writes one caller may make in any QuotaPer; 0: any number.
	Quota    int
	QuotaPer time.Duration
	// Writes are all that were asked for, with those that the quota refused.
	Writes []Write

	world   *World
	apps    map[string]*app    // by object id
	clients map[string]*app    // by client id
	holders map[string]string  // of tokens: who got them, a client id or a person's object id
	signIns map[string]*signIn // by value: what others than client secrets sign in with
	made    int
}

// Write is one that was asked for.
type Write struct {
	At       time.Time
	By       string // client id, or a person's object id
	ClientID string // of the application
	Add      bool   // and not a removal
	Refused  bool   // by the quota
}

// spend takes a write out of the caller's quota, or refuses it.
func (d *MemoryDirectory) spend(op string, token rotation.Token, x *app) error {
	now := time.Now()
	w := Write{At: now, By: d.holders[token.Value.Reveal()], ClientID: x.ClientID, Add: op == addingPassword}
	var pause time.Duration
	if d.Quota > 0 {
		n := 0
		for i := len(d.Writes) - 1; i >= 0 && now.Sub(d.Writes[i].At) < d.QuotaPer && pause == 0; i-- {
			if o := d.Writes[i]; o.By == w.By && !o.Refused {
				if n++; n == d.Quota {
					pause = o.At.Add(d.QuotaPer).Sub(now)
				}
			}
		}
	}
	w.Refused = pause > 0
	d.Writes = append(d.Writes, w)
	if !w.Refused {
		return nil
	}
	return &serviceerror.Error{Op: op, Class: serviceerror.Throttled, Status: 429, Code: "TooManyRequests",
		RetryAfter: pause.Truncate(time.Second) + time.Second}
}

// signIn is a certificate, or a person's refresh token.
type signIn struct {
	holder string // a client id, or the person's object id
	gone   bool   // removed, or withdrawn
}

// TenantID is the directory's tenant.
const TenantID = "11111111-1111-4111-8111-111111111111"

const tokenPrefix = "canary-token-"

type app struct {
	rotation.Application
	audience  string
	passwords []*password
	principal []rotation.Password
	deleted   bool
	denied    bool
	longest   time.Duration
	forbidden bool
	roles     []string
	refused   *serviceerror.Error // what its right credentials are answered with
	owner     bool                // of itself
	owners    map[string]bool     // others, by client id or a person's object id
}

type password struct {
	rotation.Password
	value     string
	secret    secret.Value // of value
	issued    bool         // by Rekey
	named     bool         // the original that Rekey may remove
	addedAt   time.Time
	removedAt *time.Time

	hiddenUntil time.Time // from reads; zero: like any other
}

func (d *MemoryDirectory) refreshToken(account string) string {
	d.made++
	value := fmt.Sprintf("canary-refresh-%020d", d.made)
	d.signIns[value] = &signIn{holder: account}
	return value
}

func (d *MemoryDirectory) add(a *app, name string, start, end time.Time) *password {
	d.made++
	value := fmt.Sprintf("c%02d~canary-secret-%020d", d.made%100, d.made)
	p := &password{
		Password: rotation.Password{
			KeyID: fmt.Sprintf("44444444-4444-4444-8444-%012d", d.made), DisplayName: name, Hint: value[:3],
			StartsAt: start.UTC(), ExpiresAt: end.UTC().Truncate(time.Second),
		},
		value: value, secret: secret.New(value), addedAt: start,
	}
	a.passwords = append(a.passwords, p)
	return p
}

func (d *MemoryDirectory) byClient(clientID string) *app { return d.clients[strings.ToLower(clientID)] }

// live reports whether value authenticates, once everything has replicated.
func (d *MemoryDirectory) live(clientID, value string) bool {
	a := d.byClient(clientID)
	if a == nil {
		return false
	}
	for _, p := range a.passwords {
		if p.value == value && p.removedAt == nil && p.ExpiresAt.After(time.Now()) {
			return true
		}
	}
	return false
}

// shown reports whether reads and tokens know of p by now.
func (d *MemoryDirectory) shown(p *password) bool {
	now := time.Now()
	if p.removedAt != nil {
		return now.Before(p.removedAt.Add(d.Propagation))
	}
	return !now.Before(p.addedAt.Add(d.Propagation))
}

// DirectoryPort is Entra and Graph with what creating connections needs besides.
type DirectoryPort interface {
	rotator.Authority
	rotator.Directory
	ServicePrincipal(ctx context.Context, token rotation.Token, app rotation.Application) (own []rotation.Password, enabled bool, err error)
	Owners(ctx context.Context, token rotation.Token, app rotation.Application) ([]string, error)
	Certificate(ctx context.Context, app rotation.Application, pem secret.Value, chain bool) (rotation.Token, error)
	Refresh(ctx context.Context, app rotation.Application, refresh secret.Value) (rotation.Token, secret.Value, error)
}

// DirectoryPort returns the directory as the process that is alive sees it.
func (w *World) DirectoryPort() DirectoryPort {
	w.mu.Lock()
	defer w.mu.Unlock()
	return directoryPort{w.Directory, port{w, w.process}}
}

type directoryPort struct {
	d *MemoryDirectory
	p port
}

func (d directoryPort) Token(ctx context.Context, a rotation.Application, s secret.Value) (token rotation.Token, err error) {
	const op = "signing in"
	err = d.p.read(ctx, "graph.token", a.ClientID, func() error {
		if !strings.EqualFold(a.TenantID, TenantID) {
			return &serviceerror.Error{Op: op, Class: serviceerror.TenantMissing, Status: 400, Code: "AADSTS90002"}
		}
		x := d.d.byClient(a.ClientID)
		if x == nil || x.deleted {
			return &serviceerror.Error{Op: op, Class: serviceerror.ApplicationMissing, Status: 400, Code: "AADSTS700016"}
		}
		for _, p := range x.passwords {
			if p.value != s.Reveal() || !d.d.shown(p) {
				continue
			}
			if !p.ExpiresAt.After(time.Now()) {
				return &serviceerror.Error{Op: op, Class: serviceerror.CredentialExpired, Status: 401, Code: "AADSTS7000222"}
			}
			if x.refused != nil {
				return x.refused
			}
			token = d.d.issue(x.ClientID)
			token.Roles, token.ObjectID = x.roles, "sp-"+x.ObjectID
			return nil
		}
		return &serviceerror.Error{Op: op, Class: serviceerror.CredentialRefused, Status: 401, Code: "AADSTS7000215"}
	})
	return token, err
}

// issue makes a token for who.
func (d *MemoryDirectory) issue(who string) rotation.Token {
	value := fmt.Sprintf("%s%d", tokenPrefix, len(d.holders)+1)
	d.holders[value] = who
	return rotation.Token{Value: secret.New(value), ExpiresAt: time.Now().Add(time.Hour)}
}

// Certificate signs in as an application.
func (d directoryPort) Certificate(ctx context.Context, a rotation.Application, pem secret.Value,
	_ bool) (token rotation.Token, err error) {
	err = d.p.read(ctx, "graph.certificate", a.ClientID, func() error {
		s, x := d.d.signIns[pem.Reveal()], d.d.byClient(a.ClientID)
		if s == nil || s.gone || x == nil || s.holder != x.ClientID {
			return &serviceerror.Error{Op: "signing in", Class: serviceerror.CertificateRefused, Status: 401, Code: "AADSTS700027"}
		}
		if x.refused != nil {
			return x.refused
		}
		token = d.d.issue(s.holder)
		token.Roles, token.ObjectID = x.roles, "sp-"+x.ObjectID
		return nil
	})
	return token, err
}

// Refresh signs in as a person, and returns a new refresh token; the old one stays
// good.
func (d directoryPort) Refresh(ctx context.Context, _ rotation.Application,
	refresh secret.Value) (token rotation.Token, renewed secret.Value, err error) {
	err = d.p.read(ctx, "graph.refresh", "", func() error {
		s := d.d.signIns[refresh.Reveal()]
		if s == nil || s.gone {
			return &serviceerror.Error{Op: "signing in", Class: serviceerror.SignInExpired, Status: 400, Code: "AADSTS700082"}
		}
		token = d.d.issue(s.holder)
		token.Scopes, token.ObjectID = []string{"User.Read", "Application.ReadWrite.All"}, s.holder
		renewed = secret.New(d.d.refreshToken(s.holder))
		return nil
	})
	return token, renewed, err
}

// may reports whether the holder of a token may write x's credentials.
func (d *MemoryDirectory) may(token rotation.Token, x *app) bool {
	who := d.holders[token.Value.Reveal()]
	return !x.denied && (who == x.ClientID && x.owner || x.owners[who])
}

// The operations that take object ids only.
const (
	addingPassword   = "adding a password"
	removingPassword = "removing a password"
)

// find returns the application for a caller with that token.
func (d directoryPort) find(op string, token rotation.Token, a rotation.Application) (*app, error) {
	if !strings.HasPrefix(token.Value.Reveal(), tokenPrefix) {
		return nil, &serviceerror.Error{Op: op, Class: serviceerror.CredentialInvalid, Status: 401, Code: "InvalidAuthenticationToken"}
	}
	x := d.d.apps[a.ObjectID]
	if reads := op != addingPassword && op != removingPassword; reads && a.ObjectID == "" {
		x = d.d.byClient(a.ClientID)
	}
	if x == nil || x.deleted {
		return nil, &serviceerror.Error{Op: op, Class: serviceerror.ApplicationMissing, Status: 404, Code: "Request_ResourceNotFound"}
	}
	if len(x.roles) == 0 {
		return nil, &serviceerror.Error{Op: op, Class: serviceerror.Permission, Status: 403, Code: "Authorization_RequestDenied"}
	}
	return x, nil
}

func (d directoryPort) Application(ctx context.Context, token rotation.Token,
	a rotation.Application) (st rotation.ApplicationState, err error) {
	err = d.p.read(ctx, "graph.application", a.ClientID, func() error {
		x, err := d.find("reading an application", token, a)
		if err != nil {
			return err
		}
		st = rotation.ApplicationState{ObjectID: x.ObjectID, ClientID: x.ClientID, SignInAudience: x.audience}
		for _, p := range x.passwords {
			if d.d.shown(p) && !time.Now().Before(p.hiddenUntil) {
				st.Passwords = append(st.Passwords, p.Password)
			}
		}
		return nil
	})
	return st, err
}

func (d directoryPort) AddPassword(ctx context.Context, token rotation.Token, a rotation.Application,
	marker string, expires time.Time) (rotation.Issued, error) {
	const op = addingPassword
	d.p.w.checkDeadline(ctx, marker)
	var issued rotation.Issued
	err := d.p.write(ctx, "graph.addPassword", a.ClientID, func() error {
		x, err := d.find(op, token, a)
		if err != nil {
			return err
		}
		if err := d.d.spend(op, token, x); err != nil {
			return err
		}
		live := 0
		for _, p := range x.passwords {
			if p.removedAt == nil {
				live++
			}
		}
		switch {
		case d.d.Refuse != nil:
			return d.d.Refuse
		case !d.d.may(token, x):
			return &serviceerror.Error{Op: op, Class: serviceerror.Permission, Status: 403, Code: "Authorization_RequestDenied"}
		case x.forbidden:
			return &serviceerror.Error{Op: op, Class: serviceerror.PolicyForbidden, Status: 400, Code: "CredentialTypeNotAllowedAsPerAppPolicy"}
		case x.longest > 0 && time.Until(expires) > x.longest:
			return &serviceerror.Error{Op: op, Class: serviceerror.PolicyLifetime, Status: 400, Code: "CredentialInvalidLifetimeAsPerAppPolicy"}
		case live >= 2 && (rotation.ApplicationState{SignInAudience: x.audience}).PersonalAccounts():
			return &serviceerror.Error{Op: op, Class: serviceerror.Full, Status: 400, Code: "TooManyAppPasswords"}
		case len(marker) > 64:
			return &serviceerror.Error{Op: op, Class: serviceerror.Invalid, Status: 400, Code: "Request_BadRequest"}
		}
		p := d.d.add(x, marker, time.Now(), expires)
		p.issued = true
		d.d.Issued++
		issued = rotation.Issued{KeyID: p.KeyID, Value: secret.New(p.value), Hint: p.Hint, ExpiresAt: p.ExpiresAt}
		return nil
	})
	if err != nil {
		return rotation.Issued{}, err
	}
	return issued, nil
}

// checkDeadline checks rule R2 where it matters most: addPassword ends before the
// lease could be another pass's.
func (w *World) checkDeadline(ctx context.Context, marker string) {
	if w.AtEnd { // a late write has another deadline than the call that it was
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	id, _, _ := strings.Cut(strings.TrimPrefix(marker, "rekey/"+Deployment+"/"), "/")
	if r, ok := w.Store.rows[id]; ok {
		rec := r.record()
		deadline, ok := ctx.Deadline()
		if !ok || deadline.After(rec.Lease.Until.Add(-rotation.DefaultRules().Skew)) {
			w.violate("R2: addPassword may outlast the lease")
		}
		if rec.Run == nil || rec.Run.Marker != marker {
			w.violate("R1: addPassword without an intent in the record")
		}
	}
}

func (d directoryPort) RemovePassword(ctx context.Context, token rotation.Token, a rotation.Application, keyID string) error {
	const op = removingPassword
	return d.p.write(ctx, "graph.removePassword", a.ClientID, func() error {
		x, err := d.find(op, token, a)
		if err != nil {
			return err
		}
		if err := d.d.spend(op, token, x); err != nil {
			return err
		}
		if !d.d.may(token, x) {
			return &serviceerror.Error{Op: op, Class: serviceerror.Permission, Status: 403, Code: "Authorization_RequestDenied"}
		}
		for _, p := range x.passwords {
			if p.KeyID != keyID || p.removedAt != nil || !d.d.shown(p) {
				continue
			}
			if !p.issued && !p.named {
				d.p.w.violate("P2: a foreign credential was removed: " + keyID)
			}
			now := time.Now()
			p.removedAt = &now
			return nil
		}
		return &serviceerror.Error{Op: op, Class: serviceerror.CredentialMissing, Status: 400, Code: "Request_BadRequest"}
	})
}

func (d directoryPort) ServicePrincipal(ctx context.Context, token rotation.Token,
	a rotation.Application) (own []rotation.Password, enabled bool, err error) {
	err = d.p.read(ctx, "graph.principal", a.ClientID, func() error {
		x, err := d.find("reading a service principal", token, a)
		if err == nil {
			own, enabled = x.principal, x.refused == nil || x.refused.Code != "AADSTS7000112" // as Entra answers for one that is disabled
		}
		return err
	})
	return own, enabled, err
}

func (d directoryPort) Owners(ctx context.Context, token rotation.Token, a rotation.Application) (ids []string, err error) {
	err = d.p.read(ctx, "graph.owners", a.ClientID, func() error {
		x, err := d.find("reading owners", token, a)
		if err != nil {
			return err
		}
		if x.owner {
			ids = append(ids, "sp-"+x.ObjectID)
		}
		for who, owns := range x.owners {
			if other := d.d.byClient(who); owns && other != nil {
				who = "sp-" + other.ObjectID
			}
			if owns {
				ids = append(ids, who)
			}
		}
		return nil
	})
	return ids, err
}
