// libsystemd (package libsystemd-dev), and glibc's mallopt. Only the module Systemd imports this.
// The location macros must be off: callers pass CODE_FILE and its sisters themselves.
#define SD_JOURNAL_SUPPRESS_LOCATION 1
#include <malloc.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-journal.h>

// Swift's Glibc does not show pthread_setname_np.
#include <pthread.h>
int pthread_setname_np(pthread_t thread, const char *name);
