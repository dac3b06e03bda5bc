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

// What a scan asks after the lists. Each may be refused as they may.
const (
	Policy  List = "policy"  // how long a client secret may live by the tenant's default policy
	Missing List = "missing" // whether what no list showed is there all the same; its pages have what is
)

// Lists are in the order in which a scan reads them.
var Lists = []List{Applications, FederatedIDs, Principals, Activity}

// Page is a part of a list: what it says about some applications, and where it goes on. Next
// is empty at the end.
type Page struct {
	Applications []Application `json:"applications"`
	Next         string        `json:"next,omitempty"`
}
