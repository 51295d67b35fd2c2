// Package ext stands for a module of Traefik's own that is in no release of it: what its enterprise edition adds to a
// configuration, which is nothing.
package ext

type HTTP struct{}

type Router struct{}

func (in *HTTP) DeepCopyInto(out *HTTP)     { *out = *in }
func (in *Router) DeepCopyInto(out *Router) { *out = *in }
