package host

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// Origin returns the IP address from which r reached the last proxy before us, for the
// audit; "" if that is not known. It is no proof of who sent r, may not be the client's,
// and nothing may depend on it.
//
// On Lambda it is the source address that the event names. Behind the Functions host,
// which runs on the same machine, it is the last one of X-Forwarded-For, and whose that
// is depends on how the host passes requests on. In the proxying mode it *sets* the
// header to its own peer: nothing that a client or a front end wrote is left, and in Azure
// that peer may be the platform's front end, the same for all callers. In the forwarding
// mode the header comes as the host got it, where the front end has put the address that
// it saw behind whatever a client wrote; without a front end the last one is the client's
// own word. Where a gateway of one's own stands in front, it is at best that gateway's.
func Origin(r *http.Request) string {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	if !peer.Addr().IsLoopback() {
		return peer.Addr().Unmap().String()
	}
	values := r.Header.Values("X-Forwarded-For")
	if len(values) == 0 {
		return ""
	}
	list := values[len(values)-1]
	last := strings.TrimSpace(list[strings.LastIndexByte(list, ',')+1:])
	// App Service adds the port.
	if host, _, err := net.SplitHostPort(last); err == nil {
		last = host
	}
	addr, err := netip.ParseAddr(strings.Trim(last, "[]"))
	if err != nil || addr.Zone() != "" { // a zone may be any text
		return ""
	}
	return addr.Unmap().String()
}
