package inventory

// List is one of the directory's lists that a scan reads.
type List string

// The lists. Applications is the one that a scan cannot do without.
const (
	Applications List = "applications"       // registrations with credentials and owners
	FederatedIDs List = "federated"          // federated credentials of registrations
	Principals   List = "service-principals" // with credentials, owners, and whether they may sign in
	Activity     List = "activity"           // the last sign-in with each credential (beta, global cloud only)
)

// Lists are in the order in which a scan reads them.
var Lists = []List{Applications, FederatedIDs, Principals, Activity}

// Page is a part of a list: what it says about some applications, and where it goes on. Next
// is empty at the end.
type Page struct {
	Applications []Application `json:"applications"`
	Next         string        `json:"next,omitempty"`
}
