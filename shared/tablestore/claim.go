package tablestore

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"rekey/shared/serviceerror"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/data/aztables"

	"rekey/shared/rotation"
)

// claimRow is a claim as it is stored. All claims on an application are in one partition,
// one after the other.
type claimRow struct {
	ID    string             `json:"id"`
	Kind  rotation.ClaimKind `json:"kind"`
	App   string             `json:"app"`
	Owner string             `json:"owner"`
	Via   string             `json:"via"`
	At    time.Time          `json:"at"`
}

func claimPrefix(app string) string { return "claim-" + digest(app) + "-" }

func claimKey(row rotation.ClaimRow) string { return claimPrefix(row.App) + row.Owner + "-" + row.ID }

// Claim implements [claim.Store].
func (s *Store) Claim(ctx context.Context, row rotation.ClaimRow) error {
	const op = "claiming an application"
	body, e := encodeClaim(op, row)
	if e != nil {
		return e
	}
	e = s.withTable(ctx, func() *serviceerror.Error {
		_, err := s.table.AddEntity(once(ctx), body, nil)
		return outcome(op, write, err)
	})
	if e != nil && e.Status == http.StatusConflict {
		return nil // it was written before
	}
	return plain(e)
}

// RenewClaim implements [rotator.Store].
func (s *Store) RenewClaim(ctx context.Context, row rotation.ClaimRow) error {
	const op = "renewing a claim"
	body, e := encodeClaim(op, row)
	if e != nil {
		return e
	}
	any := azcore.ETagAny
	_, err := s.table.UpdateEntity(once(ctx), body, &aztables.UpdateEntityOptions{IfMatch: &any, UpdateMode: aztables.UpdateModeReplace})
	e = outcome(op, write, err)
	if e != nil && e.Status == http.StatusNotFound {
		return serviceerror.ErrNotFound
	}
	return plain(e)
}

// ClaimsOf implements [claim.Store].
func (s *Store) ClaimsOf(ctx context.Context, app string) ([]rotation.ClaimRow, error) {
	prefix := claimPrefix(app)
	r := keyRange{partitionKey(app), prefix, strings.TrimSuffix(prefix, "-") + "."} // '.' follows '-'
	var rows []rotation.ClaimRow
	err := s.scan(ctx, "reading claims", r, "", maxPage, func(body []byte) (bool, error) {
		var stored claimRow
		if err := decodeRow(body, &stored); err != nil {
			return false, err
		}
		rows = append(rows, rotation.ClaimRow{
			Claim: rotation.Claim{ID: stored.ID, Kind: stored.Kind, App: stored.App},
			Owner: stored.Owner, Via: stored.Via, At: stored.At,
		})
		return true, nil
	})
	return rows, err
}

// Unclaim implements [claim.Store] and [rotator.Store].
func (s *Store) Unclaim(ctx context.Context, row rotation.ClaimRow) error {
	return s.deleteClaim(ctx, row, azcore.ETagAny)
}

// Void implements [claim.Store].
func (s *Store) Void(ctx context.Context, row rotation.ClaimRow) error {
	got, found, e := s.get(ctx, "reading a claim", partitionKey(row.App), claimKey(row))
	if e != nil || !found {
		return plain(e)
	}
	var stored claimRow
	if err := decodeRow(got.Value, &stored); err != nil {
		return err
	}
	if !stored.At.Equal(row.At) {
		return serviceerror.ErrConflict
	}
	return s.deleteClaim(ctx, row, got.ETag)
}

func (s *Store) deleteClaim(ctx context.Context, row rotation.ClaimRow, etag azcore.ETag) error {
	const op = "removing a claim"
	_, err := s.table.DeleteEntity(once(ctx), partitionKey(row.App), claimKey(row), &aztables.DeleteEntityOptions{IfMatch: &etag})
	e := outcome(op, write, err)
	switch {
	case e == nil || e.Status == http.StatusNotFound:
		return nil
	case e.Status == http.StatusPreconditionFailed:
		return serviceerror.ErrConflict
	}
	return e
}

func encodeClaim(op string, row rotation.ClaimRow) ([]byte, *serviceerror.Error) {
	if row.App == "" || !validID.MatchString(row.Owner) || !validID.MatchString(row.ID) {
		return nil, refused(op, "OutOfRangeInput", "a claim needs an id, an application and a connection's id")
	}
	body, err := json.Marshal(struct {
		PartitionKey string
		RowKey       string
		claimRow
	}{partitionKey(row.App), claimKey(row), claimRow{row.ID, row.Kind, row.App, row.Owner, row.Via, row.At.UTC()}})
	if err != nil {
		return nil, refused(op, "InvalidInput", "the row is not JSON")
	}
	return body, nil
}
