/* quantise.c: what holds an encoder to the codebook that its output is replaced from. Read next: ../layers/codebook.h. */
#include "nn/objective/demand.h"

#include <math.h>

tp_var tp_commitment(tp_var z, tp_var nearest)
{
    nearest = tp_demand_same(z, nearest, "encoder's output", "nearest codes", "one each needed");
    z = tp_demand_size(z, 3, 1, 1, "encoder's output", "[batch, vectors, width] is needed");
    tp_scope_begin(z.tape, "commitment");
    tp_var off = tp_sum(tp_squared_error(z, tp_detach(nearest)), TP_AXES(1, 2), false);
    tp_scope_end(z.tape);
    return off;
}

tp_objective tp_vq(tp_var logprob, tp_var commitment, double beta)
{
    tp_term recon = tp_reconstruction(logprob).term[0];
    commitment = tp_demand_same(logprob, tp_demand_batch(commitment, "commitment"), "log-density",
                                "commitment", "[batch] of both needed");
    recon.value = tp_demand_option(recon.value, beta >= 0 && isfinite(beta), "beta", beta,
                                   "a finite one >= 0 needed");
    tp_var mean = tp_scoped_mean(commitment, "commitment");
    return tp_objective_of(2, (tp_term[]){recon, {"commitment", mean, beta}});
}
