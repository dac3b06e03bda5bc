package host

import (
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// Origin returns the IP address that r came from, for the audit; "" if that is not
// known. It is no proof of who sent r, and nothing may depend on it.
//
// On Lambda it is the source address that the event names. Behind the Functions host,
// which runs on the same machine, it is the last one of X-Forwarded-For: whatever a
// client puts there, those in front of us add theirs behind it. Where a gateway of one's
// own stands in front, it is that gateway's.
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
