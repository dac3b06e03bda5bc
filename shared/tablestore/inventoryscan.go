package tablestore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"slices"

	"rekey/shared/inventory"
	"rekey/shared/inventory/scan"
	"rekey/shared/serviceerror"
)

// storedPage is what the rows of a page hold together.
type storedPage struct {
	List         inventory.List          `json:"list"`
	Applications []inventory.Application `json:"applications"`
}

// pageInRow is how many bytes of a page lie in one row: so many that their base64 has less than
// 1 MiB, since Azurite measures a row by that.
const pageInRow = 11 * maxPropertyBytes

// pageRows returns the rows of a page. The first one says how many there are.
func pageRows(op string, p scan.KeptPage) ([]row, *serviceerror.Error) {
	stored := storedPage{List: p.List}
	for _, app := range p.Applications {
		stored.Applications = append(stored.Applications, app.Storable())
	}
	content, e := encodeContent(op, stored)
	if e != nil {
		return nil, e
	}
	compressed := compress(content)
	sum := sha256.Sum256(compressed)
	digest := hex.EncodeToString(sum[:8])
	var rows []row
	for chunk := range slices.Chunk(compressed, pageInRow) {
		key := pageKey(p.ScanID, p.Number)
		if len(rows) > 0 {
			key = pagePartKey(p.ScanID, p.Number, digest, len(rows))
		}
		rows = append(rows, row{key, contentRow(chunk)})
	}
	if len(rows) > 1 {
		rows[0].properties["digest"] = digest
		rows[0].properties["parts"] = len(rows)
	}
	return rows, nil
}

// pageTop is how many rows of pages are read at a time: each may have 1 MiB.
const pageTop = 8

// Pages implements [scan.Store]. It costs a query for eight pages.
func (v Inventory) Pages(ctx context.Context, scanID string,
	visit func(number int, list inventory.List, apps []inventory.Application) error) error {
	tenantID, ok := inventory.TenantOfScan(scanID)
	if !ok {
		return nil
	}
	prefix := pagePrefix + scanID
	r := keyRange{tenantPartition(tenantID), prefix + "-", prefix + "."} // '.' follows '-'
	var open openPage
	err := v.s.scan(ctx, "reading the pages of a scan", r, "", pageTop, func(body []byte) (bool, error) {
		key, err := rowKey(body)
		if err != nil {
			return false, err
		}
		number, digest, part, ok := parsePageKey(scanID, key)
		if !ok || part > 0 && (number != open.number || digest != open.digest) {
			return true, nil // another scan's, or of an attempt at this page that was not committed
		}
		if err := open.add(number, part, body); err != nil {
			return false, err
		}
		if open.have < open.parts {
			return true, nil
		}
		page, err := decodePage(open.compressed)
		if err != nil {
			return false, err
		}
		return true, visit(open.number, page.List, page.Applications)
	})
	if err == nil && open.have < open.parts {
		err = errPageIncomplete
	}
	return err
}

var errPageIncomplete = errors.New("decoding a page: some of its rows are missing")

// openPage is a page whose rows are being read.
type openPage struct {
	number, have, parts int
	digest              string
	compressed          []byte
}

// add takes a page's next row.
func (p *openPage) add(number, part int, body []byte) error {
	if part == 0 {
		if p.have < p.parts {
			return errPageIncomplete
		}
		var head struct {
			Digest string `json:"digest"`
			Parts  int    `json:"parts"`
		}
		if err := decodeRow(body, &head); err != nil {
			return err
		}
		*p = openPage{number: number, digest: head.Digest, parts: max(head.Parts, 1)}
	}
	if part != p.have {
		return errPageIncomplete
	}
	compressed, err := compressedContent("a page", body)
	if err != nil {
		return err
	}
	p.compressed = append(p.compressed, compressed...)
	p.have++
	return nil
}

func decodePage(compressed []byte) (p storedPage, err error) {
	content, err := decompress(compressed)
	if err != nil {
		return p, errors.New("decoding a page: its content can't be decompressed")
	}
	if json.Unmarshal(content, &p) != nil {
		return p, errors.New("decoding a page: its content is not what it should be")
	}
	return p, nil
}

// DropPages implements [scan.Store]. It costs a query for 1,000 rows, and a transaction for 100.
func (v Inventory) DropPages(ctx context.Context, tenantID, keep string) error {
	if !inventory.ValidID(tenantID) {
		return nil
	}
	prefix := pagePrefix + tenantID
	return v.drop(ctx, "deleting pages of scans", tenantID, keyRange{from: prefix + "-", to: prefix + "."}, func(key string) bool {
		_, _, _, kept := parsePageKey(keep, key)
		return !kept
	})
}

// drop deletes the rows of a tenant's range that which says yes to.
func (v Inventory) drop(ctx context.Context, op, tenantID string, r keyRange, which func(key string) bool) error {
	r.partition = tenantPartition(tenantID)
	var old []string
	err := v.s.scan(ctx, op, r, keys, maxPage, func(body []byte) (bool, error) {
		key, err := rowKey(body)
		if err == nil && which(key) {
			old = append(old, key)
		}
		return true, err
	})
	if err != nil {
		return err
	}
	for part := range slices.Chunk(old, maxOperations) {
		if err := v.s.deleteRows(ctx, op, r.partition, part); err != nil {
			return err
		}
	}
	return nil
}

func scanRange(tenantID string) keyRange {
	prefix := scanPrefix + tenantID
	return keyRange{tenantPartition(tenantID), prefix + "-", prefix + "."} // '.' follows '-'
}

// PruneScans implements [scan.Store]. It costs a query, and a transaction for 100 scans.
func (v Inventory) PruneScans(ctx context.Context, tenantID string, keep int) error {
	if !inventory.ValidID(tenantID) {
		return nil
	}
	n := 0
	return v.drop(ctx, "deleting old scans", tenantID, scanRange(tenantID), func(string) bool {
		n++
		return n > keep
	})
}

func decodeScan(row []byte) (s inventory.Scan, err error) {
	const what = "a scan"
	if err := decodeContent(what, row, &s); err != nil {
		return inventory.Scan{}, err
	}
	tenantID, ok := inventory.TenantOfScan(s.ID)
	if key, err := rowKey(row); err != nil || !ok || key != scanKey(tenantID, s.ID, s.StartedAt) {
		return inventory.Scan{}, errNotItsKey(what)
	}
	return s, nil
}

// Scan implements [catalog.Store]. It costs one request for the tenant's last scan, and three for
// another one.
func (v Inventory) Scan(ctx context.Context, scanID string) (inventory.Scan, error) {
	const op = "reading a scan"
	tenantID, ok := inventory.TenantOfScan(scanID)
	if !ok {
		return inventory.Scan{}, serviceerror.ErrNotFound
	}
	t, err := v.Tenant(ctx, tenantID)
	if err != nil {
		return inventory.Scan{}, err
	}
	if t.Scan != nil && t.Scan.ID == scanID {
		return *t.Scan, nil
	}
	r, found := scanRange(tenantID), ""
	if err := v.s.scan(ctx, op, r, keys, maxPage, func(body []byte) (bool, error) {
		key, err := rowKey(body)
		if id, ok := parseScanKey(tenantID, key); ok && id == scanID {
			found = key
		}
		return found == "", err
	}); err != nil {
		return inventory.Scan{}, err
	}
	if found == "" {
		return inventory.Scan{}, serviceerror.ErrNotFound
	}
	row, there, e := v.s.get(ctx, op, r.partition, found)
	if e != nil {
		return inventory.Scan{}, e
	}
	if !there { // pruned since
		return inventory.Scan{}, serviceerror.ErrNotFound
	}
	return decodeScan(row.Value)
}

// Scans implements [catalog.Store]. It costs a query.
func (v Inventory) Scans(ctx context.Context, tenantID string, limit int) ([]inventory.Scan, error) {
	const op = "listing scans"
	if !inventory.ValidID(tenantID) || limit <= 0 {
		return nil, nil
	}
	var all []inventory.Scan
	unreadable := UnreadableError{op: op}
	err := v.s.scan(ctx, op, scanRange(tenantID), "", min(limit, math.MaxInt32), func(row []byte) (bool, error) {
		one, err := decodeScan(row)
		if err != nil {
			unreadable.add(err)
			return true, nil
		}
		all = append(all, one)
		return len(all) < limit, nil
	})
	if err != nil {
		return nil, err
	}
	return all, unreadable.result()
}
