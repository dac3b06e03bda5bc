package connections

import (
	"time"

	"rekey/shared/inventory"
	"rekey/shared/inventory/catalog"
)

// itemView is an application of the inventory.
type itemView struct {
	TenantID           string           `json:"tenantId"`
	ClientID           string           `json:"clientId"`
	Name               string           `json:"name"`
	ObjectID           *string          `json:"objectId"`           // of the registration; null: it is in another tenant
	ServicePrincipalID *string          `json:"servicePrincipalId"` // null: there is none
	HomeTenantID       *string          `json:"homeTenantId"`
	Audience           *string          `json:"audience"`
	CreatedAt          *time.Time       `json:"createdAt"`
	Disabled           bool             `json:"disabled"`
	EndsAt             *time.Time       `json:"endsAt"` // see [inventory.Application.EndsAt]; null: nothing of it ends
	Findings           []findingView    `json:"findings"`
	ManagedBy          []managerView    `json:"managedBy"`
	Owners             []ownerView      `json:"owners"`
	MoreOwners         bool             `json:"moreOwners"`
	Credentials        []credentialView `json:"credentials"`
	MoreCredentials    int              `json:"moreCredentials"`
	Federated          []federatedView  `json:"federatedCredentials"`
	Unread             []inventory.List `json:"unread"`
	FirstSeenAt        time.Time        `json:"firstSeenAt"`
	ChangedAt          time.Time        `json:"changedAt"`
}

// applicationItemView is an application by itself: with the trail of what was accepted.
type applicationItemView struct {
	itemView
	Acceptances []acceptanceView `json:"acceptances"`
}

type ownerView struct {
	ID            string  `json:"id"`
	Kind          *string `json:"kind"`
	Name          *string `json:"name"`
	PrincipalName *string `json:"principalName"`
}

type credentialView struct {
	KeyID      string                   `json:"keyId"`
	Kind       inventory.CredentialKind `json:"kind"`
	Of         inventory.Holder         `json:"of"`
	Name       *string                  `json:"name"`
	Hint       *string                  `json:"hint"`
	Thumbprint *string                  `json:"thumbprint"`
	StartsAt   *time.Time               `json:"startsAt"`
	EndsAt     *time.Time               `json:"endsAt"` // null: it never ends
	LastUsedAt *time.Time               `json:"lastUsedAt"`
}

type federatedView struct {
	ID      string  `json:"id"`
	Name    *string `json:"name"`
	Issuer  *string `json:"issuer"`
	Subject *string `json:"subject"`
}

type findingView struct {
	Finding  inventory.FindingKind `json:"finding"`
	KeyID    *string               `json:"keyId"`
	Advice   string                `json:"advice"`
	Accepted *acceptanceView       `json:"accepted"`
}

type acceptanceView struct {
	Finding inventory.FindingKind `json:"finding"`
	KeyID   *string               `json:"keyId"`
	Reason  string                `json:"reason"`
	By      string                `json:"by"`
	At      time.Time             `json:"at"`
	Until   time.Time             `json:"until"`
	EndedBy *string               `json:"endedBy"`
}

type managerView struct {
	ConnectionID string  `json:"connectionId"`
	TargetID     *string `json:"targetId"` // null: the connection itself
	Name         string  `json:"name"`
	Rotates      bool    `json:"rotates"`
}

func viewOfItem(i *catalog.Item) itemView {
	v := itemView{
		TenantID: i.TenantID, ClientID: i.ClientID, Name: i.Name, ObjectID: some(i.ObjectID), ServicePrincipalID: some(i.PrincipalID),
		HomeTenantID: some(i.HomeTenantID), Audience: some(i.Audience), CreatedAt: when(i.CreatedAt), Disabled: i.Disabled,
		EndsAt: when(i.EndsAt), Findings: []findingView{}, ManagedBy: []managerView{}, Owners: []ownerView{}, MoreOwners: i.MoreOwners,
		Credentials: []credentialView{}, MoreCredentials: i.MoreCredentials, Federated: []federatedView{},
		Unread: append([]inventory.List{}, i.Unread...), FirstSeenAt: i.FirstSeenAt, ChangedAt: i.ChangedAt,
	}
	for _, f := range i.Findings {
		one := findingView{Finding: f.Kind, KeyID: some(f.KeyID), Advice: f.Advice}
		if f.Accepted != nil {
			one.Accepted = new(viewOfAcceptance(f.Accepted))
		}
		v.Findings = append(v.Findings, one)
	}
	for _, m := range i.Managers {
		v.ManagedBy = append(v.ManagedBy, managerView{m.ConnectionID, some(m.TargetID), m.Name, m.Rotates})
	}
	for _, o := range i.Owners {
		v.Owners = append(v.Owners, ownerView{o.ID, some(o.Kind), some(o.Name), some(o.PrincipalName)})
	}
	for _, c := range i.Credentials {
		v.Credentials = append(v.Credentials, credentialView{c.KeyID, c.Kind, c.Holder, some(c.Name), some(c.Hint), some(c.Thumbprint),
			when(c.StartsAt), when(c.EndsAt), when(c.UsedAt)})
	}
	for _, f := range i.Federated {
		v.Federated = append(v.Federated, federatedView{f.ID, some(f.Name), some(f.Issuer), some(f.Subject)})
	}
	return v
}

func viewOfAcceptance(a *inventory.Acceptance) acceptanceView {
	return acceptanceView{a.Kind, some(a.KeyID), a.Reason, a.By, a.At, a.Until, some(a.EndedBy)}
}

// tenantView is what is known of a tenant's inventory, and how well.
type tenantView struct {
	TenantID     string       `json:"tenantId"`
	ConnectionID string       `json:"connectionId"`
	Daily        bool         `json:"daily"`
	AsOf         *time.Time   `json:"asOf"` // null: no scan has come to its end yet
	Complete     bool         `json:"complete"`
	Unread       []unreadView `json:"unread"`
	// LongestSecretDays is how long a client secret may live by the tenant's policy; null: not known,
	// or without limit.
	LongestSecretDays *float64 `json:"longestClientSecretDays"`
	ScanUnderWay      *string  `json:"scanUnderWay"` // its id; null: none is
}

type unreadView struct {
	List    inventory.List `json:"list"`
	Class   string         `json:"class"`
	Message string         `json:"message"`
}

func viewOfTenants(all []inventory.Tenant) []tenantView {
	views := make([]tenantView, 0, len(all))
	for i := range all {
		views = append(views, viewOfTenant(&all[i]))
	}
	return views
}

func viewOfTenant(t *inventory.Tenant) tenantView {
	v := tenantView{
		TenantID: t.ID, ConnectionID: t.ConnectionID, Daily: t.Daily, AsOf: when(t.AsOf), Complete: !t.AsOf.IsZero() && len(t.Unread) == 0,
		Unread: viewOfUnread(t.Unread), LongestSecretDays: days(t.Longest),
	}
	if t.Scan != nil && t.Scan.FinishedAt.IsZero() {
		v.ScanUnderWay = some(t.Scan.ID)
	}
	return v
}

func viewOfUnread(all []inventory.Unread) []unreadView {
	views := []unreadView{}
	for _, u := range all {
		views = append(views, unreadView{u.List, string(u.Class), u.Message})
	}
	return views
}

// days is a length of time in days; null: none.
func days(d time.Duration) *float64 {
	if d == 0 {
		return nil
	}
	return new(d.Hours() / 24)
}

// summaryView counts what a tenant has.
type summaryView struct {
	tenantView
	Applications   int                           `json:"applications"`
	Credentials    int                           `json:"credentials"`
	Federated      int                           `json:"federatedCredentials"`
	UnreadableRows int                           `json:"unreadableRows"`
	Findings       map[inventory.FindingKind]int `json:"findings"`
	Accepted       map[inventory.FindingKind]int `json:"acceptedFindings"`
	Ends           map[inventory.Left]int        `json:"ends"`
	Managed        map[inventory.Left]int        `json:"managedEnds"`
	Weeks          []int                         `json:"endsByWeek"`
	Scan           *scanView                     `json:"scan"`
	NextScanAt     *time.Time                    `json:"nextScanAt"`
}

func viewOfSummary(s *catalog.Summary) summaryView {
	v := summaryView{
		tenantView: viewOfTenant(&s.Tenant), Applications: s.Applications, Credentials: s.Credentials, Federated: s.Federated,
		UnreadableRows: s.LeftOut, Findings: s.Findings, Accepted: s.Accepted, Ends: map[inventory.Left]int{},
		Managed: map[inventory.Left]int{}, Weeks: s.Weeks[:],
	}
	for _, left := range inventory.Lefts {
		v.Ends[left], v.Managed[left] = s.Ends[left], s.Managed[left]
	}
	if s.Tenant.Daily {
		v.NextScanAt = when(s.Tenant.WakeAt)
	}
	if s.Tenant.Scan != nil {
		v.Scan = new(viewOfScan(s.Tenant.Scan))
	}
	return v
}
