/* curves.h: learning curves of runs as a sheet of charts: the loss, each term, active units. Read next: curves.c. */
#ifndef VAE_CURVES_H
#define VAE_CURVES_H

#include "options.h"

/* What stands on the horizontal axis. NULL behind the last. */
enum { CURVES_EPOCHS, CURVES_STEPS, CURVES_SAMPLES };
const char *curves_x_name(int i);

/* A chart for each of o->terms, or of all there are, in one <svg>, or apart in one each; o->x and o->log say what the horizontal axis is. Runs are
 * folders. TP_EIO, TP_EFORMAT; TP_EARG for a term that no run has. */
tp_status curves_draw(json *out, const paths *runs, const options *o, bool apart);

#endif
