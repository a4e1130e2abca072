#ifndef ALLOCATION_COUNTER_H
#define ALLOCATION_COUNTER_H

/// How often the calling thread has asked for heap memory since it started.
///
/// Linking this target puts counting functions in front of glibc's malloc and its relatives, for
/// the whole executable: Swift's runtime and all libraries call them too.
unsigned long allocation_count(void);

#endif
