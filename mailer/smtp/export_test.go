package smtp

// Break breaks a connection as a lost network does.
func (c *Conn) Break(err error) { c.fail(err) }
