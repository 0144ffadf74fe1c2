// The captures that are open in this process: who began each, and how each is forgotten.
//
// Every capture in here holds the gate shut. It leaves when EndCapture returns (on whatever thread,
// with whatever status), when its stream is destroyed, when the thread that began it ends, in the
// child of a fork, and when the runtime says, twice in a row, that its stream captures no more.
#pragma once

#include <stdbool.h>

// How many captures of the calling thread are open.
int captures_of_this_thread(void);

// A capture of the calling thread has opened on `stream`, and the gate is shut for it.
void captures_opened(void *stream);

// The number of the capture that is open on `stream`, 0 where there is none. Streams are reused: a
// later capture on the same stream has another number.
unsigned long captures_number(void *stream);

// Forgets the capture of this number on `stream`, if it is still that one. No check is on its way
// to ask the runtime about the stream when this returns.
void captures_forget(void *stream, unsigned long number);
void captures_forget_all(void);

// Called by every call that is held back: at most once a second, asks the runtime about all
// captures, and forgets those that have silently died.
void captures_check(void);

// How many are open, and how many have been since the process started.
unsigned long captures_open(void);
unsigned long captures_ever(void);
