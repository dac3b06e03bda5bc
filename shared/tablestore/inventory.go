package tablestore

import (
	"bytes"
	"compress/zlib"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"rekey/shared/inventory/catalog"
	"rekey/shared/inventory/scan"
	"rekey/shared/serviceerror"
)

// Inventory keeps the inventory of tenants. What a commit of a tenant writes lies in the partition
// of the tenant's id in the due index; an application and its rows by end lie in that of tenant
// and client id. Its methods may be called at the same time.
type Inventory struct{ s *Store }

// Inventory returns the inventory, in the same table as the records.
func (s *Store) Inventory() Inventory { return Inventory{s} }

var (
	_ scan.Store    = Inventory{}
	_ catalog.Store = Inventory{}
)

// inventorySchema is that of the rows of the inventory. A newer Rekey that raises it keeps this
// one from reading and overwriting what it does not understand.
const inventorySchema = 1

// maxContent is how many bytes of JSON a row may hold, or the rows of a page together. It is far
// above what bounds of the inventory let through, and keeps a spoilt row from filling the memory.
const maxContent = 64 << 20

// encodeContent returns the JSON of v. Tests compare by it what is there and what would be written.
func encodeContent(op string, v any) ([]byte, *serviceerror.Error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, refused(op, "InvalidInput", "the row is not JSON")
	}
	if b.Len() > maxContent {
		return nil, refused(op, "EntityTooLarge", fmt.Sprintf("the content has %d MiB, at most %d are allowed", b.Len()>>20, maxContent>>20))
	}
	return b.Bytes(), nil
}

// Compressing and its reverse need memory, which is used again.
var (
	compressors = sync.Pool{New: func() any { return zlib.NewWriter(nil) }}
	readers     sync.Pool
)

func compress(content []byte) []byte {
	var b bytes.Buffer
	z := compressors.Get().(*zlib.Writer)
	z.Reset(&b)
	_, _ = z.Write(content) // a buffer takes everything
	_ = z.Close()
	compressors.Put(z)
	return b.Bytes()
}

func decompress(data []byte) ([]byte, error) {
	z, err := zlibReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(z, maxContent+1))
	if err != nil {
		return nil, err
	}
	readers.Put(z)
	if len(content) > maxContent {
		return nil, errors.New("more than is allowed")
	}
	return content, nil
}

func zlibReader(r io.Reader) (io.ReadCloser, error) {
	if z, ok := readers.Get().(io.ReadCloser); ok {
		return z, z.(zlib.Resetter).Reset(r, nil)
	}
	return zlib.NewReader(r)
}

// contentProperty names the parts of what a row holds.
func contentProperty(part int) string { return fmt.Sprintf("z%02d", part) }

// contentRow returns the properties of a row that holds compressed content: a schema number, and
// binary properties as large as they may be.
func contentRow(compressed []byte) map[string]any {
	properties := map[string]any{schemaProperty: inventorySchema}
	part := 0
	for chunk := range slices.Chunk(compressed, maxPropertyBytes) {
		properties[contentProperty(part)] = chunk
		part++
	}
	return properties
}

// compressedContent is the reverse of contentRow. The schema comes first: nothing else of a newer
// row is looked at. what names the row in errors, which quote nothing of it.
func compressedContent(what string, row []byte) (compressed []byte, err error) {
	var properties map[string]json.RawMessage
	if json.Unmarshal(row, &properties) != nil {
		return nil, fmt.Errorf("decoding %s: the row is not a JSON object", what)
	}
	var schema int
	if json.Unmarshal(properties[schemaProperty], &schema) != nil {
		return nil, fmt.Errorf("decoding %s: it has no schema number", what)
	}
	if schema > inventorySchema {
		return nil, fmt.Errorf("decoding %s: %w", what, serviceerror.ErrNewerSchema)
	}
	for part := 0; ; part++ {
		raw, ok := properties[contentProperty(part)]
		if !ok {
			return compressed, nil
		}
		var chunk []byte
		if json.Unmarshal(raw, &chunk) != nil {
			return nil, fmt.Errorf("decoding %s: property %s is not binary", what, contentProperty(part))
		}
		compressed = append(compressed, chunk...)
	}
}

// rowContent returns the JSON that a row holds.
func rowContent(what string, row []byte) ([]byte, error) {
	compressed, err := compressedContent(what, row)
	if err != nil {
		return nil, err
	}
	content, err := decompress(compressed)
	if err != nil {
		return nil, fmt.Errorf("decoding %s: its content can't be decompressed", what)
	}
	return content, nil
}

// decodeContent reads the JSON that a row holds into what dst points to.
func decodeContent(what string, row []byte, dst any) error {
	content, err := rowContent(what, row)
	if err != nil {
		return err
	}
	if json.Unmarshal(content, dst) != nil {
		return fmt.Errorf("decoding %s: its content is not what it should be", what)
	}
	return nil
}

// encodeRow returns the properties of a row that holds v.
func encodeRow(op string, v any) (map[string]any, *serviceerror.Error) {
	content, e := encodeContent(op, v)
	if e != nil {
		return nil, e
	}
	return contentRow(compress(content)), nil
}
