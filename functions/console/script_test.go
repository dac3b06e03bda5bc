package console_test

import (
	"net/http"
	"testing"

	"github.com/chromedp/chromedp"

	"rekey/shared/auth"
)

// What is under way is loaded again until it has ended, also after the API did not answer once; and what
// the button has done is not told again by that.
func TestRefreshGoesOn(t *testing.T) {
	w := newWorld(t, auth.Admin)
	w.everything("billing")
	under := connection("billing")
	under["rotation"].(object)["state"], under["rotation"].(object)["settled"] = "verifying", false
	w.answer("GET", secrets+"/"+id, 200, object{"appConnection": under})
	browser := open(t, w)
	browser.do(chromedp.Navigate(browser.url+"/console/connections/"+id+"?done=rotation"),
		chromedp.WaitVisible(chromedp.CSS("[data-refresh] .steps")),
		chromedp.WaitVisible(chromedp.CSS("[role=status]")))
	if at := look(browser, chromedp.Evaluate[string]("location.search")); at != "" {
		t.Errorf("a reload tells it again: %s", at)
	}
	refused := make(chan bool, 1)
	api := w.handler.API
	w.handler.API = http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		select {
		case refused <- true:
			w.answer("GET", secrets+"/"+id, 200, object{"appConnection": connection("billing")})
			out.WriteHeader(http.StatusServiceUnavailable)
		default:
			api.ServeHTTP(out, r)
		}
	})
	browser.do(chromedp.WaitNotPresent(chromedp.CSS("[data-refresh]")), chromedp.WaitVisible(chromedp.CSS("#status")),
		chromedp.WaitNotPresent(chromedp.CSS("[role=status]")))
}

// On a narrow screen a plot's texts are as large as one can read, and none is cut off.
func TestPlotsAreReadable(t *testing.T) {
	w := newWorld(t, auth.Admin)
	w.everything("billing")
	browser := open(t, w)
	browser.do(chromedp.EmulateViewport(360, 740), chromedp.Navigate(browser.url+"/console"), chromedp.WaitVisible(chromedp.CSS(".plot text")))
	smallest := look(browser, chromedp.Evaluate[float64](
		"Math.min(...[...document.querySelectorAll('.plot text')].map(e => e.getBoundingClientRect().height))"))
	if smallest < 10 {
		t.Errorf("a text is %.1f pixels high", smallest)
	}
	if cut := look(browser, chromedp.Evaluate[int64](`[...document.querySelectorAll(".plot text")].filter(e => {
		const text = e.getBoundingClientRect(), plot = e.closest("figure").getBoundingClientRect();
		return text.left < 0 || text.right > innerWidth || text.top < plot.top - 8 || text.bottom > plot.bottom;
	}).length`)); cut > 0 {
		t.Errorf("%d texts are cut off", cut)
	}
}
