// Package console serves the pages that people work with: the HTTP function under /console.
//
// A page asks the API, in this process and as the person who is signed in, for what it shows,
// and a button sends the API what a program would send ([api]). So input, roles, limits,
// idempotency and audit are the API's, and the console can do nothing that the API does not
// allow the same caller.
//
// Everything works without a script: pages are loaded, forms are posted, and each POST leads
// on by GET. A refused form is shown again with what was entered (but secrets) and the API's
// message. Package page has the components, package session signs people in.
package console
