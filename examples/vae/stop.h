/* stop.h: being asked to stop by a signal. Read next: stop.c. */
#ifndef VAE_STOP_H
#define VAE_STOP_H

/* From here on SIGINT, SIGTERM and SIGHUP are remembered instead of ending the process. A second one ends it at
 * once, as if none of this were here. */
void stop_watch(void);
/* The number of the signal that came, or 0; and its name. */
int stop_signal(void);
/* The exit code of a command that failed: as of shells 128 and that number if it was stopped, else EXIT_BAD. */
int stop_exit_code(void);
const char *stop_name(int number);

#endif
