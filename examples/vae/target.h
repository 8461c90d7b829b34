/* target.h: the file that a drawing goes to. Read next: target.c. */
#ifndef VAE_TARGET_H
#define VAE_TARGET_H

#include "tensor/status.h"

#include <stdbool.h>

/* A file that begins with mark may be replaced by another of its kind, nothing else: TP_EIO. */
tp_status target_check(const char *path, const char *mark, bool *exists);
#define TARGET_PNG "\x89PNG"
#define TARGET_SVG "<svg xmlns"
#define TARGET_REPORT "<!DOCTYPE html>\n<html lang=\"en\" class=\"report\">"

/* Says that it was written, or what has failed; the exit code. */
int target_said(tp_status s, const char *path, bool existed);

#endif
