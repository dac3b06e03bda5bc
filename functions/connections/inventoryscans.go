package connections

import (
	"crypto/sha256"
	"encoding/hex"
	"time"

	"rekey/shared/host"
	"rekey/shared/inventory"
	"rekey/shared/inventory/catalog"
)

// scanView is a scan of a tenant.
type scanView struct {
	ID           string          `json:"id"`
	TenantID     string          `json:"tenantId"`
	ConnectionID string          `json:"connectionId"`
	Trigger      string          `json:"trigger"`
	RequestedBy  *string         `json:"requestedBy"` // the caller's name; null: Rekey itself
	StartedAt    time.Time       `json:"startedAt"`
	FinishedAt   *time.Time      `json:"finishedAt"`
	Phase        inventory.Phase `json:"phase"`
	Requests     int             `json:"requests"` // to Graph
	RowsWritten  int             `json:"rowsWritten"`
	Unread       []unreadView    `json:"unread"`
	Problem      *unreadView     `json:"problem"` // why the last try did not get further; null: nothing is wrong
	Result       *resultView     `json:"result"`  // null: it is not known yet
}

// resultView is what a scan found.
type resultView struct {
	Applications int                           `json:"applications"`
	Credentials  int                           `json:"credentials"`
	Federated    int                           `json:"federatedCredentials"`
	Added        int                           `json:"added"`
	Changed      int                           `json:"changed"`
	Gone         int                           `json:"gone"`
	Findings     map[inventory.FindingKind]int `json:"findings"`
	Arisen       map[inventory.FindingKind]int `json:"arisen"`
	Changes      []changeView                  `json:"changes"`
	MoreChanges  int                           `json:"moreChanges"`
}

type changeView struct {
	ClientID string               `json:"clientId"`
	Name     string               `json:"name"`
	Change   inventory.ChangeKind `json:"change"`
	KeyID    *string              `json:"keyId"`
	Finding  *string              `json:"finding"`
}

func viewOfScan(s *inventory.Scan) scanView {
	tenantID, _ := inventory.TenantOfScan(s.ID)
	v := scanView{
		ID: s.ID, TenantID: tenantID, ConnectionID: s.ConnectionID, Trigger: string(s.Trigger), RequestedBy: some(s.RequestedBy),
		StartedAt: s.StartedAt, FinishedAt: when(s.FinishedAt), Phase: s.Phase, Requests: s.Calls, RowsWritten: s.Rows,
		Unread: viewOfUnread(s.Unread),
	}
	if p := s.Problem; p != nil {
		v.Problem = &unreadView{p.List, string(p.Class), p.Message}
	}
	if r := s.Result; r != nil {
		v.Result = viewOfResult(r)
	}
	return v
}

func viewOfResult(r *inventory.Result) *resultView {
	v := &resultView{
		Applications: r.Applications, Credentials: r.Credentials, Federated: r.Federated, Added: r.Added, Changed: r.Changed, Gone: r.Gone,
		Findings: r.Findings, Arisen: r.Arisen, Changes: []changeView{}, MoreChanges: r.MoreChanges,
	}
	if v.Findings == nil {
		v.Findings = map[inventory.FindingKind]int{}
	}
	if v.Arisen == nil {
		v.Arisen = map[inventory.FindingKind]int{}
	}
	for _, c := range r.Changes {
		v.Changes = append(v.Changes, changeView{c.ClientID, c.Name, c.Kind, some(c.KeyID), some(string(c.Finding))})
	}
	return v
}

// maxScans is the most that one answer has.
const maxScans = 100

// scans lists the last scans, the newest first.
func (h *Handler) scans(r *request) (any, error) {
	limit, err := r.whole("limit", 20, maxScans)
	if err != nil {
		return nil, err
	}
	tenantID, err := r.guid("tenantId")
	if err != nil {
		return nil, err
	}
	all, err := h.Inventory.Scans(r.Context(), tenantID, limit)
	if err != nil {
		return nil, err
	}
	views := make([]scanView, 0, len(all))
	for i := range all {
		views = append(views, viewOfScan(&all[i]))
	}
	return map[string]any{"scans": views}, nil
}

func (h *Handler) scan(r *request) (any, error) {
	return oneScan(h.Inventory.Scan(r.Context(), r.params["scanId"]))
}

func oneScan(s inventory.Scan, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return map[string]any{"scan": viewOfScan(&s)}, nil
}

// requestScan begins a scan, or returns the one that is under way.
func (h *Handler) requestScan(r *request) (any, error) {
	var b struct {
		ConnectionID string `json:"connectionId"`
		Daily        *bool  `json:"daily"`
	}
	if err := r.decode(&b); err != nil {
		return nil, err
	}
	via, err := h.through(r, b.ConnectionID)
	if err != nil {
		return nil, err
	}
	keyed, err := r.keyed("")
	if err != nil {
		return nil, err
	}
	in := catalog.Request{
		ConnectionID: via.ID, TenantID: via.Actor.TenantID, Daily: b.Daily, By: r.caller.Label(), Caller: r.caller.Name,
		From: host.Origin(r.Request),
	}
	if keyed.Key != "" { // a scan is found by its id, so that no note has to be kept
		sum := sha256.Sum256([]byte(keyed.Key + keyed.Hash))
		in.Random = hex.EncodeToString(sum[:16])
	}
	return oneScan(h.Inventory.RequestScan(r.Context(), in))
}
