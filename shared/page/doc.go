// Package page has the components that Rekey's HTML is made of: the console's pages, and those
// that people see when they connect by OAuth.
//
// Markup is made of maragu.dev/gomponents, which escapes every text and attribute value. It is
// not html/template, which finds methods by name: one use of it makes the linker keep every
// method of the Graph SDK, 7 MB that each cold start would load.
//
// What escaping does not make harmless is kept out by types: an address of a link or a form
// is an [Address], which is a path of our own, or https.
//
// There is one stylesheet, [Style]. It knows light and dark, and is narrow enough for 360
// pixels. Everything works without a script; [Script] refreshes what is under way, filters
// tables and copies. Colours never stand alone: a state is always also a word.
package page
