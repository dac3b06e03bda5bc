package tablestore

import (
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"rekey/shared/inventory"
	"rekey/shared/inventory/catalog"
)

const (
	tenantPrefix   = "tenant-"
	tenantEnd      = "tenant."
	scanPrefix     = "scan-"
	pagePrefix     = "scanpage-"
	appPrefix      = "app-"
	endPrefix      = "end-"
	endEnd         = "end."
	acceptedSuffix = "-accepted"
)

func tenantPartition(tenantID string) string { return partitionKey(inventory.DueID(tenantID)) }

func tenantKey(tenantID string) string { return tenantPrefix + tenantID }

// scanBase is above every time in seconds since 1970, so that what is taken from it is positive.
const scanBase = 1_000_000_000_000

// scanKey sorts the newest first.
func scanKey(tenantID, scanID string, started time.Time) string {
	return fmt.Sprintf("%s%s-%013d-%s", scanPrefix, tenantID, scanBase-started.Unix(), strings.TrimPrefix(scanID, tenantID+"-"))
}

// parseScanKey returns the id of the scan in a key of that tenant.
func parseScanKey(tenantID, key string) (scanID string, ok bool) {
	rest, ok := strings.CutPrefix(key, scanPrefix+tenantID+"-")
	if !ok || len(rest) < 15 || rest[13] != '-' {
		return "", false
	}
	if n, err := strconv.ParseInt(rest[:13], 10, 64); err != nil || n < 0 {
		return "", false
	}
	scanID = inventory.ScanID(tenantID, rest[14:])
	_, ok = inventory.TenantOfScan(scanID)
	return scanID, ok
}

// maxPages is how many pages a scan may keep.
const maxPages = 1_000_000

// pageKey is that of a page's first row.
func pageKey(scanID string, number int) string {
	return fmt.Sprintf("%s%s-%06d", pagePrefix, scanID, number)
}

// pagePartKey is that of a further row of a page that one row could not hold. The digest is of
// the whole page, so that parts of two attempts at one page are never mixed.
func pagePartKey(scanID string, number int, digest string, part int) string {
	return fmt.Sprintf("%s-%s-%03d", pageKey(scanID, number), digest, part)
}

var pageRest = regexp.MustCompile(`^(\d{6})(?:-([0-9a-f]{16})-(\d{3}))?$`)

// parsePageKey reads a key of that scan; part is 0 for a page's first row. It says no to the rows
// of a scan whose id begins with this one and a hyphen.
func parsePageKey(scanID, key string) (number int, digest string, part int, ok bool) {
	rest, ok := strings.CutPrefix(key, pagePrefix+scanID+"-")
	m := pageRest.FindStringSubmatch(rest)
	if !ok || m == nil {
		return 0, "", 0, false
	}
	number, _ = strconv.Atoi(m[1])
	part, _ = strconv.Atoi(m[3])
	return number, m[2], part, m[2] == "" || part > 0
}

// appPartition is where an application's rows are.
func appPartition(key inventory.Key) string { return partitionKey(key.TenantID + key.ClientID) }

func appKey(key inventory.Key) string { return appPrefix + key.TenantID + "-" + key.ClientID }

// acceptedKey is that of what was accepted about an application: it follows its row.
func acceptedKey(key inventory.Key) string { return appKey(key) + acceptedSuffix }

// parseAppKey returns whose row it is; accepted: it is that of what was accepted.
func parseAppKey(key string) (app inventory.Key, accepted, ok bool) {
	rest, ok := strings.CutPrefix(key, appPrefix)
	rest, accepted = strings.CutSuffix(rest, acceptedSuffix)
	app, after, found := cutAppKey(rest)
	return app, accepted, ok && found && after == ""
}

// cutAppKey splits what begins with the ids of a tenant and of an application.
func cutAppKey(text string) (app inventory.Key, rest string, ok bool) {
	const guid = 36
	if len(text) < 2*guid+1 || text[guid] != '-' {
		return app, "", false
	}
	app = inventory.Key{TenantID: text[:guid], ClientID: text[guid+1 : 2*guid+1]}
	return app, text[2*guid+1:], inventory.ValidID(app.TenantID) && inventory.ValidID(app.ClientID)
}

// endKey sorts by the time. A key id that is too long, which Entra does not make, is cut: its end
// is in the order all the same, and the application's row has the whole of it.
func endKey(end catalog.End) string {
	keyID := end.KeyID[:min(len(end.KeyID), maxEncoded)]
	for len(encode(keyID)) > maxEncoded {
		keyID = keyID[:len(keyID)-1]
	}
	return endPrefix + end.At.UTC().Format(dueLayout) + "-" + end.TenantID + "-" + end.ClientID + "-" + encode(keyID)
}

// parseEndKey is the reverse of endKey. It says no to any other key, behind which a list could not
// go on.
func parseEndKey(key string) (end catalog.End, ok bool) {
	at, rest, ok := cutTime(key, endPrefix)
	app, keyID, found := cutAppKey(rest)
	keyID, hyphen := strings.CutPrefix(keyID, "-")
	keyID, err := url.PathUnescape(strings.ReplaceAll(keyID, "_", "%"))
	end = catalog.End{At: at, Key: app, KeyID: keyID}
	return end, ok && found && hyphen && err == nil && endKey(end) == key
}

// endKeys returns the keys of an application's rows by end, each once.
func endKeys(app *inventory.Application) []string {
	var keys []string
	seen := map[string]bool{}
	stored := app.Storable()
	for _, end := range catalog.Ends(&stored) {
		if key := endKey(end); !seen[key] {
			seen[key], keys = true, append(keys, key)
		}
	}
	return keys
}
