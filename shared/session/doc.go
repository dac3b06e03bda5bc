// Package session lets people into the console: it signs them in, knows them again at each
// request, and signs them out. It has no page; functions/console shows what it decides.
//
// # Signing in
//
// There are three ways, by what is configured:
//
//   - App Service authentication stands in front and says at each request who it is
//     ([auth.Authenticator.ByAppService]).
//   - Entra: [Manager.SignInByEntra] sends the browser there (authorization code, PKCE, nonce),
//     [Manager.Callback] takes it back. Who it is and which app roles they have is in the
//     ID token, which is verified before anything is believed.
//   - An API key: [Manager.SignInByKey].
//
// # Sessions
//
// A session is a cookie. No server keeps it: its content is sealed by AES-256-GCM with a key
// from Key Vault ([Keys]), so that the browser can neither read nor change it. What is sealed
// for one purpose or deployment does not open for another. A session ends eight hours after
// the sign-in, and an hour after the last request; a request renews the cookie at most once a
// minute. It holds who signed in and how, when, and a secret for forms. It holds no API key,
// only the hash by which the key is configured.
//
// The role is not in it. [Manager.Authenticate] finds it anew for each request:
//
//   - The hash of an API key must still be configured; name and role are those of its entry.
//   - App Service must vouch for the same person; the role is from its word.
//   - Entra is not asked again: the app roles of the ID token count for as long as the
//     session, so that a role that is taken away in Entra ends with it, after eight hours at
//     most. The session ends sooner if the tenant or the application is configured anew.
//
// # What it does not do
//
// Because no server keeps sessions, none can be ended from afar: signing out clears the
// cookie, and a copy of the cookie is good until its end. To end all sessions at once, write a
// new version of the key in Key Vault and disable the ones before; within five minutes, or an
// hour if Key Vault does not answer, no cookie that was sealed by them opens.
//
// # Requests that change something
//
// Each must come from a page of the console itself ([host.OwnPage]), and its form must carry
// the token of the session ([Visit.Token]) in the field [TokenField]. Authenticate checks both.
// Signing in has no session yet, so that it has the first check alone.
// A form that comes after the end of its session is not kept: the person is told that nothing was done ([Unsent]),
// and is led back to the form's page after signing in.
//
// # The log
//
// There is a line for each person who signs in or out, and for each refusal, with the
// reason; beyond the limit of unknown callers one a minute for all of them. No line has a key,
// a cookie, a token, or any part of an address.
package session
