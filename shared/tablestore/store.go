// Package tablestore keeps Rekey's records in one Azure table.
//
// A connection's record, its wake-up and its history share a partition and change
// in one entity-group transaction, so that the wake-up index cannot drift from the
// records. Every write is conditional on what was read before; there is no blind
// overwrite. Finding what is due costs one range query for each of the 16
// partitions, however many connections exist (promise P6).
//
//	PartitionKey  s00 .. s0f, by a hash of what the row is about
//	RowKey        conn-<id>                        the record
//	              due-<yyyymmddThhmmssZ>-<id>      its wake-up
//	              hist-<id>-<reversed version>     its history, newest first
//	              day-<yyyymmdd>-<id>              how far that day's history goes
//	              run-<yyyymmdd>-<failed, succeeded>-<id>-<run>   a run that ended in the week of that Monday
//	              list-<name>-<id>                 where it comes in a list of all, and what a search looks at
//	              plist-<project>-<name>-<id>      and in that of its project
//	              attn-<time>-<name>-<id>          from when on it needs attention
//	              tlist-, tplist-, tattn-          the same of targets
//	              next-<time>-<id>                 when it rotates next
//	              ends-<time>-<id>                 when its client secret ends, and which one that is
//	              index-2                          how far the timer has written these where they may be missing
//	              former-<application>-<id>        what is kept of a connection that is gone
//	              audit-<reversed time>-<id>       a line of the audit, newest first; <id>-<version>-<n>: of a connection
//	              evt-<time>-<id>-<version>-<n>    what a person has to be told
//	              name-, vault-, via-, console-key-<value>   reservations
//	              claim-<application>-<id>         claims on applications
//
// The inventory (see [Inventory]) lies beside them. Of a tenant, in the partition of its id in the
// due index, scan-<tenant>, in which a commit is one transaction with its due row and its notice:
//
//	tenant-<tenant>                  its state, with the scan under way or the last one
//	scan-<tenant>-<reversed time>-<name>      finished scans, newest first
//	scanpage-<tenant>-<name>-<number>         pages of a scan, until it is complete
//	scanpage-...-<digest>-<part>              what of a page its first row cannot hold
//
// Of an application, in the partition of tenant and client id:
//
//	app-<tenant>-<client>            the application
//	app-<tenant>-<client>-accepted   what was accepted about it
//	end-<yyyymmddThhmmssZ>-<tenant>-<client>-<key id>   each end of a credential, empty
//
// Each member of [rotation.Record] is one string property that holds its JSON, and
// records are merged, never replaced: what a newer Rekey has added stays. The
// number `schema` is read before anything else. Rows of the inventory hold compressed JSON in
// binary properties beside such a number, since there are many and some are large.
//
// Writes are sent once. A write that is repeated after a lost answer is refused
// because of its own first try, and the caller could not tell that from a conflict; so a
// lost answer is reported as what it is, an unknown outcome, and the caller reads
// again (rule R9).
package tablestore

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"sync"
	"time"

	"rekey/shared/rotator"
	"rekey/shared/secret"
	"rekey/shared/serviceerror"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"
)

// DefaultTable is the table's name if none is configured.
const DefaultTable = "rekey"

// Config says where the table is. Either ServiceURL and Credential are set, or
// ConnectionString.
type Config struct {
	// ServiceURL is the table service's address, such as
	// https://account.table.core.windows.net. https only: tokens are not sent
	// over anything else.
	ServiceURL string
	// Credential is Rekey's own identity. It needs the role Storage Table Data
	// Contributor on the account or the table.
	Credential azcore.TokenCredential
	// ConnectionString is a storage connection string with AccountName and
	// AccountKey.
	ConnectionString secret.Value
	// Table is the table's name; default [DefaultTable]. It is created when it
	// turns out to be missing.
	Table string
	// Transport sends the requests; nil is the SDK's own.
	Transport policy.Transporter
	// Retry is how reads are repeated; the zero value means two more tries,
	// 200 ms and more apart. Writes are never repeated.
	Retry policy.RetryOptions
	// Notices keeps each event that a person has to be told of in a row of its own
	// until it is delivered. Set it only where a pass delivers them: nothing else ever
	// takes these rows away.
	Notices bool
	// Now is the clock that reservations and their age are read from; nil means
	// [time.Now].
	Now func() time.Time
}

// Store is a [rotator.Store]. Its methods may be called at the same time.
type Store struct {
	table *aztables.Client
	now   func() time.Time

	notices bool

	creating sync.Mutex
	created  bool // by this process
}

var _ rotator.Store = (*Store)(nil)

// tableName is what Azure allows
// (learn.microsoft.com/rest/api/storageservices/understanding-the-table-service-data-model).
var tableName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]{2,62}$`)

// New returns a Store on the table that cfg names. It sends nothing yet.
func New(cfg Config) (*Store, error) {
	if cfg.Table == "" {
		cfg.Table = DefaultTable
	}
	if !tableName.MatchString(cfg.Table) {
		return nil, fmt.Errorf("table name %q: must be 3 to 63 letters and digits and begin with a letter", cfg.Table)
	}
	if cfg.Retry.MaxRetries == 0 && cfg.Retry.RetryDelay == 0 {
		cfg.Retry = policy.RetryOptions{MaxRetries: 2, RetryDelay: 200 * time.Millisecond, MaxRetryDelay: 2 * time.Second}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	service, err := cfg.service()
	if err != nil {
		return nil, err
	}
	return &Store{table: service.NewClient(cfg.Table), now: cfg.Now, notices: cfg.Notices}, nil
}

func (cfg Config) service() (*aztables.ServiceClient, error) {
	options := &aztables.ClientOptions{ClientOptions: azcore.ClientOptions{
		Transport:       cfg.Transport,
		Retry:           cfg.Retry,
		Telemetry:       policy.TelemetryOptions{ApplicationID: "rekey"},
		PerCallPolicies: []policy.Policy{batchReader{}},
	}}
	switch {
	case cfg.ConnectionString.IsZero() && cfg.ServiceURL != "" && cfg.Credential != nil:
		service, err := aztables.NewServiceClient(cfg.ServiceURL, cfg.Credential, options)
		if err != nil {
			return nil, fmt.Errorf("table service URL %q is not valid", cfg.ServiceURL)
		}
		return service, nil
	case !cfg.ConnectionString.IsZero() && cfg.ServiceURL == "" && cfg.Credential == nil:
		service, err := aztables.NewServiceClientFromConnectionString(cfg.ConnectionString.Reveal(), options)
		if err != nil { // its text might quote the key
			return nil, errors.New("the storage connection string is not valid: it needs AccountName and AccountKey")
		}
		return service, nil
	}
	return nil, errors.New("the table needs either a service URL with a credential, or a connection string")
}

// once marks a write: it is sent one time only.
func once(ctx context.Context) context.Context {
	return policy.WithRetryOptions(ctx, policy.RetryOptions{MaxRetries: -1})
}

// withTable runs call, and runs it again after creating the table if that was what
// it lacked. Nothing is asked beforehand, so that a cold start costs nothing.
func (s *Store) withTable(ctx context.Context, call func() *serviceerror.Error) *serviceerror.Error {
	e := call()
	if e == nil || e.Code != string(aztables.TableNotFound) {
		return e
	}
	if e := s.createTable(ctx); e != nil {
		return e
	}
	return call()
}

func (s *Store) createTable(ctx context.Context) *serviceerror.Error {
	s.creating.Lock()
	defer s.creating.Unlock()
	if s.created {
		return nil
	}
	_, err := s.table.CreateTable(ctx, nil)
	e := outcome("creating the table", read, err)
	if e != nil && e.Code != string(aztables.TableAlreadyExists) {
		return e
	}
	s.created = true
	return nil
}

// get reads one row. The error is nil and found false if it is not there.
func (s *Store) get(ctx context.Context, op, pk, rk string) (row aztables.GetEntityResponse, found bool, e *serviceerror.Error) {
	e = s.withTable(ctx, func() *serviceerror.Error {
		var err error
		row, err = s.table.GetEntity(ctx, pk, rk, nil)
		return outcome(op, read, err)
	})
	if e != nil && e.Status == http.StatusNotFound && e.Code != string(aztables.TableNotFound) {
		return row, false, nil
	}
	return row, e == nil, e
}
