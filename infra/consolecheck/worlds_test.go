//go:build consolecheck

package consolecheck

import (
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

var pictures = flag.String("pictures", "../../build/console-pictures", "folder for the pictures of every page; empty: none are taken")

// sizes are the worlds: so many connections, of which most are written straight into the table, so many
// targets of one of them, and so many applications with ugly names in the tenant.
var sizes = []struct{ connections, targets, applications int }{{0, 0, 0}, {1, 0, 20}, {200, 30, 200}, {10_000, 1_000, 2_000}}

// Every page in worlds of every size is inspected in every look, and a picture is taken of each.
func TestWorlds(t *testing.T) {
	for _, size := range sizes {
		t.Run(fmt.Sprint(size.connections), func(t *testing.T) {
			w := newWorld(t, nil, nil)
			pages := []address{{"overview", "/console"}, {"connections", "/console/connections"}, {"targets", "/console/targets"},
				{"inventory", "/console/inventory"}, {"connect", "/console/connect"},
				{"connect-certificate", "/console/connect?method=certificate"}, {"connect-oauth", "/console/connect?method=oauth"},
				{"settings", "/console/settings"}, {"audit-of-all", "/console/audit"}, {"nowhere", "/console/nowhere"}}
			if size.connections > 0 {
				pages = append(pages, w.populate(size.connections, size.targets, size.applications)...)
			}
			b := w.tab(ways[0])
			b.open("/console/inventory?text=x")
			b.keep(t, size.connections, "sign-in")
			b.signIn("mouse", "/console/settings")
			for _, page := range pages {
				t.Run(page.name, func(t *testing.T) {
					u := b.in(t)
					u.open(page.path)
					u.keep(t, size.connections, page.name)
				})
			}
		})
	}
}

// address is a page and the name of its pictures.
type address struct{ name, path string }

// populate fills a world, and returns the pages that there are besides.
func (w *world) populate(connections, targets, applications int) (pages []address) {
	w.Helper()
	w.neglect(applications)
	via := w.platform()
	scan := w.scan(via.ID)
	w.crowd(connections-1, targets, via.ID)
	one := w.path("connections", via.ID)
	pages = append(pages, address{"scan", "/console/inventory/scans/" + scan}, address{"connection", one}, address{"audit", one + "/audit"},
		address{"plan", one + "/plan"}, address{"emergency", one + "/emergency"}, address{"edit", one + "/edit"},
		address{"delete", one + "/delete"}, address{"test", one + "/test"}, address{"add-target", one + "/add-target"},
		address{"inventory-filtered", "/console/inventory?all=true"}, address{"inventory-none", "/console/inventory?text=no-such-thing"},
		address{"connections-attention", "/console/connections?attention=true"}, address{"connections-none", "/console/connections?name=none"})
	for i, a := range w.applications() {
		if i < 3 {
			pages = append(pages, address{fmt.Sprint("application-", i), a}, address{fmt.Sprint("adopt-", i), a + "/adopt"})
		}
	}
	if connections > 1 {
		for i, kind := range kinds {
			pages = append(pages, address{"connection-" + kind.name, w.path("connections", number(i))})
		}
		pages = append(pages, address{"edit-by certificate", w.path("connections", number(5)) + "/edit"})
	}
	if targets > 0 {
		pages = append(pages, address{"target", w.path("targets", via.ID, number(connections-1))},
			address{"target-edit", w.path("targets", via.ID, number(connections-1)) + "/edit"})
	}
	return pages
}

// applications are the pages of those whose names are the hardest to show: the longest, the widest,
// the one that runs the other way.
func (w *world) applications() (paths []string) {
	w.Helper()
	for _, text := range []string{"long long long", "長長長長長", "gnp.exe"} {
		var list struct {
			Applications []struct{ TenantID, ClientID string }
		}
		w.call(http.MethodGet, secrets+"/inventory?limit=1&text="+url.QueryEscape(text), nil, &list)
		for _, a := range list.Applications {
			paths = append(paths, w.path("inventory", a.TenantID, a.ClientID))
		}
	}
	return paths
}

// keep inspects the page and keeps pictures of it, and says how long the page took and how large it is.
func (b *tab) keep(t *testing.T, world int, name string) {
	t.Helper()
	took := ask[float64](b, `() => performance.getEntriesByType("navigation")[0].responseEnd`)
	b.inspect(func(look string) {
		if *pictures == "" {
			return
		}
		dir := filepath.Join(*pictures, fmt.Sprint(world))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		picture := lookAt(b)
		if err := os.WriteFile(filepath.Join(dir, name+"-"+look+".png"), picture, 0o644); err != nil {
			t.Fatal(err)
		}
	})
	t.Logf("%s: %.0f ms, %d bytes", name, took, b.size())
}

func lookAt(b *tab) []byte {
	b.Helper()
	return look(b, chromedp.FullScreenshot(100))
}

// What the browser refuses is noticed, and so is what lies over something else or off the screen: the
// other tests would show nothing otherwise.
func TestWhatIsWrongIsNoticed(t *testing.T) {
	w := newWorld(t, nil, nil)
	b := w.tab(ways[0])
	b.open("/console/sign-in")
	ask[bool](b, `() => { const i = new Image(); i.src = "https://elsewhere.example/x.png"; document.body.append(i); return true; }`)
	b.until("the refusal is noticed", func() bool {
		b.seen.mu.Lock()
		defer b.seen.mu.Unlock()
		return strings.Contains(strings.Join(b.seen.list, "\n"), "Content Security Policy")
	})
	if wrong := b.steady("(" + layout + ")()"); len(wrong) > 0 {
		t.Errorf("wrong with the page as it is: %q", wrong)
	}
	ask[bool](b, `() => {
		document.querySelector("h1").style.marginBottom = "-3rem";
		document.querySelector("label").style.marginLeft = "2000px";
		return true;
	}`)
	wrong := strings.Join(b.steady("("+layout+")()"), "\n")
	for _, says := range []string{"pixels wide", "beyond the edge", "lie over each other"} {
		if !strings.Contains(wrong, says) {
			t.Errorf("nothing %s is noticed: %s", says, wrong)
		}
	}
}
