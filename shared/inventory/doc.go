// Package inventory knows what a tenant has that expires: app registrations and service
// principals with their client secrets, certificates, federated credentials and owners. It
// is metadata only; no value of a credential ever gets here.
//
// The package is pure: it has the data, and decides. [Merge] puts together what the lists of the
// directory say about one application, and [Application.Conclude] makes its row of that;
// [Findings] says what is wrong with it, at a moment, and what to do; [Compare] says what has
// changed between two scans, and [Words] tells it. Package scan reads the directory and keeps the
// rows; package catalog serves them.
//
// An application is named by its client id ([Key]). What the registration has and what the
// service principal has is one [Application], since people know it as one.
//
// A scan reads the lists one after another ([Lists]), page by page, and keeps every page
// until all of them are there. Only then it compares and writes, so that a row never shows
// half of what was read. What a list refuses is marked as unread, and of such a part the
// rows keep what the last scan knew.
package inventory
