package tablestore

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"rekey/shared/index"
	"rekey/shared/reservation"
)

// shards is the number of partitions. It can never change: the shard is part of
// every key.
const shards = 16

// A character after the last of a prefix, so that a range ends where the prefix
// does: '.' follows '-' in ASCII.
const (
	connectionPrefix = "conn-"
	connectionEnd    = "conn."
	duePrefix        = "due-"
	historyPrefix    = "hist-"
	dayPrefix        = "day-"
	runPrefix        = "run-"
)

// dueLayout is the time in a wake-up's key. It sorts as it reads.
const dueLayout = "20060102T150405Z"

// validID is what a connection's id may be. Azure forbids some characters in keys
// and the client mangles others, so that only those remain that are harmless
// everywhere.
var validID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,100}$`)

// partitionKey returns the partition of what a row is about.
func partitionKey(about string) string {
	h := fnv.New32a()
	h.Write([]byte(about)) // never fails
	return shardKey(int(h.Sum32() % shards))
}

func shardKey(shard int) string { return fmt.Sprintf("s%02x", shard) }

func connectionKey(id string) string { return connectionPrefix + id }

func dueKey(wake time.Time, id string) string {
	return duePrefix + wake.UTC().Format(dueLayout) + "-" + id
}

// parseDueKey is the reverse of dueKey.
func parseDueKey(key string) (index.Due, bool) {
	wake, id, ok := cutTime(key, duePrefix)
	return index.Due{ID: id, Wake: wake}, ok
}

// cutTime returns the time behind the prefix of a key, and what follows it.
func cutTime(key, prefix string) (at time.Time, rest string, ok bool) {
	rest, ok = strings.CutPrefix(key, prefix)
	if !ok || len(rest) < len(dueLayout)+2 || rest[len(dueLayout)] != '-' {
		return time.Time{}, "", false
	}
	at, err := time.Parse(dueLayout, rest[:len(dueLayout)])
	return at, rest[len(dueLayout)+1:], err == nil
}

// historyKey sorts the newest version first.
func historyKey(id string, version int64) string {
	return fmt.Sprintf("%s%s-%019d", historyPrefix, id, math.MaxInt64-version)
}

// parseHistoryKey returns the version in a key of that connection. It says no to
// the rows of a connection whose id begins with this one and a hyphen: they lie in
// the same range, but their keys are longer.
func parseHistoryKey(id, key string) (version int64, ok bool) {
	rest, ok := strings.CutPrefix(key, historyPrefix+id+"-")
	if !ok || len(rest) != 19 {
		return 0, false
	}
	reversed, err := strconv.ParseInt(rest, 10, 64)
	if err != nil || reversed < 0 {
		return 0, false
	}
	return math.MaxInt64 - reversed, true
}

// maxEncoded is how long a reservation's value may be in its key.
const maxEncoded = 300

// reservationKey returns a key that is one value's alone, or one value's and its
// owner's where a value may have several. Of a value too long for a key it is a hash.
func reservationKey(res reservation.Row) string {
	if res.Kind.Shared() {
		return notePrefix(res.Kind, res.Value) + res.Owner
	}
	kind, value := res.Kind, res.Value
	encoded := encode(value)
	switch {
	case len(encoded) > maxEncoded:
		encoded = "_h" + digest(value) // encode never yields _h
	}
	return string(kind) + "-" + encoded
}

// notePrefix is what the keys of all that share a value begin with.
func notePrefix(kind reservation.Kind, value string) string {
	return string(kind) + "-" + digest(value) + "-"
}

// encode writes every byte but letters, digits and the hyphen as _ and two
// hexadecimal digits, so that different values have different keys.
func encode(value string) string {
	var b strings.Builder
	for _, c := range []byte(value) {
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "_%02x", c)
		}
	}
	return b.String()
}

func digest(value string) string {
	sum := sha256.Sum256([]byte(value))
	return hex.EncodeToString(sum[:])
}

// roundUp returns t in UTC and whole seconds, never earlier than t, so that nothing
// is woken too soon.
func roundUp(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	whole := t.UTC().Truncate(time.Second)
	if whole.Before(t) {
		whole = whole.Add(time.Second)
	}
	return whole
}
