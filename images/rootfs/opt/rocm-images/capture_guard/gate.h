// The gate between other threads' calls and the runtime: shut while a capture is open or opening.
#pragma once

#include <stdbool.h>

// A query goes in, or is told that the gate is shut. It must leave soon: an opening capture waits.
bool gate_enter(void);
void gate_leave(void);

// A call that can block waits, where the gate is shut, until it is open, or for 30 seconds
// (CAPTURE_GUARD_WAIT_SECONDS), which it says on stderr; then it goes in. Returns whether it waited.
bool gate_enter_waiting(void);
void gate_leave_waiting(void);

// Shut once more, for a capture that is about to open; returns when no call is on its way into
// the runtime any more. Each gate_shut needs its gate_open.
void gate_shut(void);
void gate_open(void);

// How many calls are waiting for the gate to open.
int gate_waiting(void);

// In the child of a fork: only its own thread is left, and nothing is open.
void gate_after_fork(void);
