/* clip.h: keeping gradients small: between backward and the optimizer's step.
 *
 * Parameters that are frozen or have no gradient are passed over, as the optimizer does. Read next: optim.h.
 */
#ifndef TP_NN_CLIP_H
#define TP_NN_CLIP_H

#include "nn/params.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Scales all gradients by min(1, max_norm/(norm + 1e-6)), where norm is the 2-norm of all of them as one vector: as
 * torch.nn.utils.clip_grad_norm_. *norm, unless NULL, becomes what it was before; INFINITY as max_norm only measures.
 * The same bits for any number of threads. TP_ENONFINITE names the first parameter whose gradient is infinite or NaN,
 * TP_EARG unless max_norm > 0; nothing is changed then. */
tp_status tp_clip_grad_norm(const tp_params *ps, double max_norm, double *norm);

/* Clamps every element to [−clip_value, clip_value]: as torch.nn.utils.clip_grad_value_, but TP_ENONFINITE as
 * above. TP_EARG unless clip_value > 0. */
tp_status tp_clip_grad_value(const tp_params *ps, double clip_value);

#ifdef __cplusplus
}
#endif
#endif
