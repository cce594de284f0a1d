package store

import "oshirase/store/internal/engine"

// Engine lets tests of an engine reach it.
func (r *Reader) Engine() engine.Engine { return r.eng }

// WrapAAD lets tests open keys as their files have them.
var WrapAAD = wrapAAD
