"""One attempt at a block as a process sees it: how it begins, dies, is asked to stop, and tells how far it is."""
