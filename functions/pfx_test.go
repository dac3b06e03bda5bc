package functions_test

import (
	_ "embed"
	"encoding/base64"
	"net/http"
	"strings"
	"sync"
	"testing"

	"rekey/shared/auth"
)

// endless is a PFX file with the password x. The key in its encrypted part says that it
// takes 2^62 iterations. The file was forged as in the tests of shared/certificate.
//
//go:embed testdata/endless.p12
var endless []byte

// A caller who may create connections sends files that would take centuries to read, as
// many at once as the limit of requests allows. Each is refused with words, and the
// instance answers others. A file that is worked off ends this test by its time-out.
func TestEndlessFilesAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	a := w.sample()
	made := w.create(a)
	given := object{"tenantId": a.TenantID, "clientId": a.ClientID, "pfx": base64.StdEncoding.EncodeToString(endless), "password": "x"}
	body := object{"name": "endless", "method": "certificate", "credentials": given}
	before := w.truth()
	var all sync.WaitGroup
	for range 104 {
		all.Go(func() {
			got, err := w.try(w.request(auth.Write, http.MethodPost, secrets, body))
			if err != nil || got.status != http.StatusBadRequest || !strings.Contains(string(got.body), "Export it again with fewer") {
				t.Errorf("status %d: %s, %v", got.status, got.body, err)
			}
		})
	}
	if got := w.call(auth.Read, http.MethodGet, secrets+"/"+made.ID, nil); got.status != http.StatusOK {
		t.Errorf("meanwhile: status %d: %s", got.status, got.body)
	}
	all.Wait()
	if list := changes(before, w.truth()); len(list) != 0 {
		t.Errorf("changed: %q", list)
	}
}
