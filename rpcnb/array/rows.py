"""The array operations, one row each.

Rules for this file: a row is ``name(signature): what it does``; where it returns several arrays in
a named tuple, ``-> names of its fields`` stands in between. Names, signatures and their meaning are
those of the Python array API standard 2025.12, save in the groups below ``NumPy``. ``[rule]`` in front
of the colon names the rule of `array.inference` that tells shape and dtype of the result, so that
nobody waits for it; `table` gives groups in which all rows have the same one.
"""

from __future__ import annotations

CREATION = """
arange(start, /, stop=None, step=1, *, dtype=None, device=None) [created]: Evenly spaced numbers, end excluded.
empty(shape, *, dtype=None, device=None) [created]: An array whose content nobody relies on.
empty_like(x, /, *, dtype=None, device=None) [created]: As `empty`, of the shape and dtype of another array.
eye(n_rows, n_cols=None, /, *, k=0, dtype=None, device=None) [created]: Ones on a diagonal, zeros elsewhere.
full(shape, fill_value, *, dtype=None, device=None) [created]: One value everywhere.
full_like(x, /, fill_value, *, dtype=None, device=None) [created]: As `full`, of the shape of another array.
linspace(start, stop, /, num, *, dtype=None, device=None, endpoint=True) [created]: `num` evenly spaced numbers.
meshgrid(*arrays, indexing='xy'): Coordinate arrays from one-dimensional coordinates.
ones(shape, *, dtype=None, device=None) [created]: Ones.
ones_like(x, /, *, dtype=None, device=None) [created]: Ones, of the shape and dtype of another array.
tril(x, /, *, k=0): The lower triangle; zeros above the `k`-th diagonal.
triu(x, /, *, k=0): The upper triangle; zeros below the `k`-th diagonal.
zeros(shape, *, dtype=None, device=None) [created]: Zeros.
zeros_like(x, /, *, dtype=None, device=None) [created]: Zeros, of the shape and dtype of another array.
"""

METADATA = """
asarray(obj, /, *, dtype=None, device=None, copy=None): Upload numbers, or take an array as it is.
from_dlpack(x, /, *, device=None, copy=None): Upload an array of another library.
can_cast(from_, to, /): Whether one dtype casts to another without loss.
finfo(type, /): Limits of a floating-point dtype.
iinfo(type, /): Limits of an integer dtype.
isdtype(dtype, kind): Whether a dtype is of a kind.
result_type(*arrays_and_dtypes): The dtype that an operation on all of them has.
broadcast_shapes(*shapes): The shape that several broadcast to.
"""

ELEMENTWISE = """
abs(x, /): Absolute value.
acos(x, /): Inverse cosine.
acosh(x, /): Inverse hyperbolic cosine.
add(x1, x2, /): Sum of two arrays.
asin(x, /): Inverse sine.
asinh(x, /): Inverse hyperbolic sine.
atan(x, /): Inverse tangent.
atan2(x1, x2, /): Angle of the point ``(x2, x1)``.
atanh(x, /): Inverse hyperbolic tangent.
bitwise_and(x1, x2, /): Bits set in both.
bitwise_left_shift(x1, x2, /): Bits of `x1` moved up by `x2`.
bitwise_invert(x, /): Every bit flipped.
bitwise_or(x1, x2, /): Bits set in either.
bitwise_right_shift(x1, x2, /): Bits of `x1` moved down by `x2`.
bitwise_xor(x1, x2, /): Bits set in one of them only.
ceil(x, /): Smallest integer that is not less.
clip(x, /, min=None, max=None): Each element moved into bounds.
conj(x, /): Complex conjugate.
copysign(x1, x2, /): Magnitude of `x1` with the sign of `x2`.
cos(x, /): Cosine.
cosh(x, /): Hyperbolic cosine.
divide(x1, x2, /): True quotient.
equal(x1, x2, /): Whether both are equal.
exp(x, /): Exponential function.
expm1(x, /): ``exp(x) - 1``, exact near zero.
floor(x, /): Largest integer that is not greater.
floor_divide(x1, x2, /): Quotient, rounded down.
greater(x1, x2, /): Whether `x1` is greater.
greater_equal(x1, x2, /): Whether `x1` is not less.
hypot(x1, x2, /): Length of the hypotenuse.
imag(x, /): Imaginary part.
isfinite(x, /): Whether neither infinite nor NaN.
isinf(x, /): Whether infinite.
isnan(x, /): Whether NaN.
less(x1, x2, /): Whether `x1` is less.
less_equal(x1, x2, /): Whether `x1` is not greater.
log(x, /): Natural logarithm.
log1p(x, /): ``log(1 + x)``, exact near zero.
log2(x, /): Logarithm to base 2.
log10(x, /): Logarithm to base 10.
logaddexp(x1, x2, /): ``log(exp(x1) + exp(x2))``, without overflow.
logical_and(x1, x2, /): Whether both are true.
logical_not(x, /): Whether false.
logical_or(x1, x2, /): Whether one is true.
logical_xor(x1, x2, /): Whether exactly one is true.
maximum(x1, x2, /): The greater of both; NaN where one is.
minimum(x1, x2, /): The lesser of both; NaN where one is.
multiply(x1, x2, /): Product of two arrays.
negative(x, /): The opposite number.
nextafter(x1, x2, /): The next number from `x1` towards `x2`.
not_equal(x1, x2, /): Whether they differ.
positive(x, /): The same number.
pow(x1, x2, /): `x1` to the power of `x2`.
real(x, /): Real part.
reciprocal(x, /): ``1 / x``.
remainder(x1, x2, /): Remainder of the division, with the sign of `x2`.
round(x, /): Nearest integer, to even where two are.
sign(x, /): -1, 0 or 1; for complex numbers the direction.
signbit(x, /): Whether the sign bit is set.
sin(x, /): Sine.
sinh(x, /): Hyperbolic sine.
square(x, /): ``x * x``.
sqrt(x, /): Square root.
subtract(x1, x2, /): Difference of two arrays.
tan(x, /): Tangent.
tanh(x, /): Hyperbolic tangent.
trunc(x, /): Nearest integer towards zero.
"""

REDUCTION = """
all(x, /, *, axis=None, keepdims=False): Whether all are true.
any(x, /, *, axis=None, keepdims=False): Whether any is true.
argmax(x, /, *, axis=None, keepdims=False): Where the greatest is.
argmin(x, /, *, axis=None, keepdims=False): Where the least is.
count_nonzero(x, /, *, axis=None, keepdims=False): How many are not zero.
max(x, /, *, axis=None, keepdims=False): The greatest.
mean(x, /, *, axis=None, keepdims=False): Arithmetic mean.
min(x, /, *, axis=None, keepdims=False): The least.
prod(x, /, *, axis=None, dtype=None, keepdims=False): Product.
std(x, /, *, axis=None, correction=0.0, keepdims=False): Standard deviation.
sum(x, /, *, axis=None, dtype=None, keepdims=False): Sum.
var(x, /, *, axis=None, correction=0.0, keepdims=False): Variance.
"""

VIEW = """
astype(x, dtype, /, *, copy=True, device=None) [astype]: The same values in another dtype.
broadcast_arrays(*arrays) [waits]: The arrays, all of the shape they broadcast to.
broadcast_to(x, /, shape): An array of a larger shape, repeated without copying; read-only.
expand_dims(x, /, axis): With a new dimension of one element.
flip(x, /, *, axis=None): In reverse order.
matrix_transpose(x, /): With the last two dimensions exchanged.
moveaxis(x, source, destination, /): With some dimensions in other places.
permute_dims(x, /, axes): With the dimensions in another order.
reshape(x, /, shape, *, copy=None) [reshape]: The same elements in another shape.
squeeze(x, /, axis): Without some dimensions of one element.
unstack(x, /, *, axis=0) [waits]: The parts along one dimension, as a tuple.
"""

MANIPULATION = """
concat(arrays, /, *, axis=0) [joined]: Arrays joined along a dimension they have.
cumulative_prod(x, /, *, axis=None, dtype=None, include_initial=False): Products of all so far.
cumulative_sum(x, /, *, axis=None, dtype=None, include_initial=False): Sums of all so far.
diff(x, /, *, axis=-1, n=1, prepend=None, append=None): Differences of neighbours, `n` times.
isin(x1, x2, /, *, invert=False): Whether each of `x1` is among `x2`.
matmul(x1, x2, /) [matmul]: Matrix product.
nonzero(x, /): Indices of what is not zero, one array a dimension.
repeat(x, repeats, /, *, axis=None): Each element several times.
roll(x, /, shift, *, axis=None): Elements moved around the end to the beginning.
searchsorted(x1, x2, /, *, side='left', sorter=None): Where `x2` would go into the sorted `x1`.
argsort(x, /, *, axis=-1, descending=False, stable=True) [along]: Indices that sort.
sort(x, /, *, axis=-1, descending=False, stable=True) [along]: Sorted copy.
stack(arrays, /, *, axis=0) [joined]: Arrays joined along a new dimension.
take(x, indices, /, *, axis=None): The elements at some indices.
take_along_axis(x, indices, /, *, axis=-1): As `take`, with indices of their own for every row.
tensordot(x1, x2, /, *, axes=2): Sum of products over several dimensions.
tile(x, repetitions, /): The whole array several times.
unique_all(x, /) -> values indices inverse_indices counts: Distinct values, places and counts.
unique_counts(x, /) -> values counts: Distinct values, and how often each occurs.
unique_inverse(x, /) -> values inverse_indices: Distinct values, and which of them each element is.
unique_values(x, /): Distinct values.
vecdot(x1, x2, /, *, axis=-1): Inner product along one dimension.
where(condition, x1, x2, /) [elementwise]: From `x1` where the condition is true, from `x2` elsewhere.
"""

LINALG = """
cholesky(x, /, *, upper=False): Cholesky factor.
cross(x1, x2, /, *, axis=-1): Cross product of vectors of three elements.
det(x, /) [determinant]: Determinant.
diagonal(x, /, *, offset=0): Diagonal.
eig(x, /) -> eigenvalues eigenvectors: Eigenvalues and eigenvectors.
eigh(x, /) -> eigenvalues eigenvectors: The same of a Hermitian matrix.
eigvalsh(x, /): Eigenvalues of a Hermitian matrix.
eigvals(x, /): Eigenvalues.
inv(x, /): Inverse matrix.
matmul(x1, x2, /) [matmul]: Matrix product.
matrix_norm(x, /, *, keepdims=False, ord='fro'): Norm of matrices.
matrix_power(x, n, /): A square matrix to an integer power.
matrix_rank(x, /, *, rtol=None): Rank.
matrix_transpose(x, /) [view]: With the last two dimensions exchanged.
outer(x1, x2, /): Every product of two vectors.
pinv(x, /, *, rtol=None): Pseudo-inverse.
qr(x, /, *, mode='reduced') -> Q R: Orthogonal and triangular factor.
slogdet(x, /) -> sign logabsdet: Sign, and logarithm of the absolute value of the determinant.
solve(x1, x2, /): Solution of a system of linear equations.
svd(x, /, *, full_matrices=True) -> U S Vh: Singular value decomposition.
svdvals(x, /): Singular values.
tensordot(x1, x2, /, *, axes=2): Sum of products over several dimensions.
trace(x, /, *, offset=0, dtype=None): Sum of the diagonal.
vecdot(x1, x2, /, *, axis=-1): Inner product along one dimension.
vector_norm(x, /, *, axis=None, keepdims=False, ord=2): Norm of vectors.
"""

FFT = """
fft(x, /, *, n=None, axis=-1, norm='backward'): Discrete Fourier transform.
ifft(x, /, *, n=None, axis=-1, norm='backward'): Its inverse.
fftn(x, /, *, s=None, axes=None, norm='backward'): Transform in several dimensions.
ifftn(x, /, *, s=None, axes=None, norm='backward'): Its inverse.
rfft(x, /, *, n=None, axis=-1, norm='backward'): Transform of real numbers.
irfft(x, /, *, n=None, axis=-1, norm='backward'): Its inverse.
rfftn(x, /, *, s=None, axes=None, norm='backward'): Transform of real numbers in several dimensions.
irfftn(x, /, *, s=None, axes=None, norm='backward'): Its inverse.
hfft(x, /, *, n=None, axis=-1, norm='backward'): Transform of a signal with Hermitian symmetry.
ihfft(x, /, *, n=None, axis=-1, norm='backward'): Its inverse.
fftfreq(n, /, *, d=1.0, dtype=None, device=None): Frequencies of the terms of `fft`.
rfftfreq(n, /, *, d=1.0, dtype=None, device=None): Frequencies of the terms of `rfft`.
fftshift(x, /, *, axes=None): With the zero frequency in the middle.
ifftshift(x, /, *, axes=None): Its inverse.
"""

# --- NumPy: what its users write besides -----------------------------------------------------------

METHODS = """
all(axis=None, out=None, keepdims=False) [reduction]: Whether all are true.
any(axis=None, out=None, keepdims=False) [reduction]: Whether any is true.
argmax(axis=None, out=None, *, keepdims=False) [reduction]: Where the greatest is.
argmin(axis=None, out=None, *, keepdims=False) [reduction]: Where the least is.
argsort(axis=-1, kind=None): Indices that sort.
clip(min=None, max=None, out=None): Each element moved into bounds.
conj(): Complex conjugate.
cumprod(axis=None, dtype=None, out=None): Products of all so far.
cumsum(axis=None, dtype=None, out=None): Sums of all so far.
diagonal(offset=0, axis1=0, axis2=1): Diagonal; a view.
dot(b, out=None): Matrix product, as `numpy.dot`.
max(axis=None, out=None, keepdims=False) [reduction]: The greatest.
mean(axis=None, dtype=None, out=None, keepdims=False) [reduction]: Arithmetic mean.
min(axis=None, out=None, keepdims=False) [reduction]: The least.
nonzero(): Indices of what is not zero, one array a dimension.
prod(axis=None, dtype=None, out=None, keepdims=False) [reduction]: Product.
repeat(repeats, axis=None): Each element several times.
round(decimals=0, out=None): Rounded to so many decimals.
searchsorted(v, side='left', sorter=None): Where `v` would go into this sorted array.
std(axis=None, dtype=None, out=None, ddof=0, keepdims=False) [reduction]: Standard deviation.
sum(axis=None, dtype=None, out=None, keepdims=False) [reduction]: Sum.
take(indices, axis=None, out=None, mode='raise'): The elements at some indices.
trace(offset=0, axis1=0, axis2=1, dtype=None, out=None): Sum of the diagonal.
var(axis=None, dtype=None, out=None, ddof=0, keepdims=False) [reduction]: Variance.
"""

VIEW_METHODS = """
astype(dtype, order='K', casting='unsafe', subok=True, copy=True) [astype]: The same values in another dtype.
flatten(order='C') [flattened]: All elements in one dimension, copied.
ravel(order='C') [flattened]: All elements in one dimension.
reshape(*shape, order='C') [reshape]: The same elements in another shape.
squeeze(axis=None) [view]: Without dimensions of one element.
swapaxes(axis1, axis2) [view]: With two dimensions exchanged.
transpose(*axes) [view]: With the dimensions in another order.
view(dtype): The same bytes as another dtype.
"""

FUNCTIONS = """
all allclose amax amin any append argmax argmin argpartition argsort argwhere around array_equal
array_equiv array_split astype atleast_1d atleast_2d atleast_3d average bincount block broadcast_arrays
broadcast_to cbrt choose clip column_stack compress concatenate convolve corrcoef correlate
count_nonzero cov cross cumprod cumsum cumulative_prod cumulative_sum delete diag diag_indices_from
diagflat diagonal diff digitize dot dsplit dstack ediff1d einsum empty_like expand_dims extract
flatnonzero flip fliplr flipud full_like gradient heaviside histogram histogram2d histogram_bin_edges
histogramdd hsplit hstack hypot i0 imag inner insert interp intersect1d isclose iscomplex isin isneginf
isposinf isreal kron lexsort linspace logspace matrix_transpose max mean median meshgrid min moveaxis
nan_to_num nanargmax nanargmin nancumprod nancumsum nanmax nanmean nanmedian nanmin nanpercentile
nanprod nanquantile nanstd nansum nanvar nonzero ones_like outer pad partition percentile permute_dims
polyfit polyval prod ptp quantile ravel real real_if_close repeat reshape resize
roll rollaxis rot90 round searchsorted setdiff1d setxor1d sinc sort split squeeze stack std sum
swapaxes take take_along_axis tensordot tile trace transpose trapezoid tri tril tril_indices_from
trim_zeros triu triu_indices_from union1d unique unique_all unique_counts unique_inverse unique_values
unstack unwrap vander var vdot vecdot vsplit vstack where zeros_like
linalg.cholesky linalg.cond linalg.det linalg.eig linalg.eigh linalg.eigvals linalg.eigvalsh linalg.inv
linalg.lstsq linalg.matrix_norm linalg.matrix_power linalg.matrix_rank linalg.multi_dot linalg.norm
linalg.pinv linalg.qr linalg.slogdet linalg.solve linalg.svd linalg.svdvals linalg.tensorinv
linalg.tensorsolve linalg.vector_norm fft.fft fft.fft2 fft.fftn fft.fftshift fft.hfft fft.ifft
fft.ifft2 fft.ifftn fft.ifftshift fft.ihfft fft.irfft fft.irfft2 fft.irfftn fft.rfft fft.rfft2
fft.rfftn
"""
"""NumPy functions that read their arguments and return arrays; all else is refused. A function that
writes into an argument, opens a file or calls a function of the user's must never stand here."""

SPECIAL = """
bdtrc betainc betaincinv betaln boxcox chdtr chdtrc chdtri digamma ellipe ellipk entr erf erfc erfcinv
erfcx erfinv exp10 exp2 expit expm1 expn fdtrc gamma gammainc gammaincc gammaincinv gammaln i0 i0e i1
i1e j0 j1 jn kl_div kolmogorov log1p log_expit log_ndtr logit loggamma ndtr ndtri nbdtrc pdtr pdtrc
poch psi rel_entr rgamma sinc smirnov stdtr stdtrit xlog1py xlogy y0 y1 zeta logsumexp softmax
log_softmax binom beta chndtr fdtr fdtri gdtr gdtrc bdtr iv ive jv kv kve yv spence tandg
"""
"""Functions of the server's `scipy.special`, at ``xp.special``."""

SCIPY_FFT = """
dct dctn dst dstn fft fft2 fftn fht hfft hfft2 hfftn idct idctn idst idstn ifft ifft2 ifftn ifht ihfft
ihfft2 ihfftn irfft irfft2 irfftn rfft rfft2 rfftn
"""
"""Functions of the server's `scipy.fft`, asked for by SciPy itself."""

RANDOM = """
beta binomial bytes chisquare choice dirichlet exponential f gamma geometric gumbel hypergeometric
integers laplace logistic lognormal logseries multinomial multivariate_hypergeometric
multivariate_normal negative_binomial noncentral_chisquare noncentral_f normal pareto permutation
permuted poisson power random rayleigh shuffle standard_cauchy standard_exponential standard_gamma
standard_normal standard_t triangular uniform vonmises wald weibull zipf
"""
"""Methods of NumPy's random generators."""
