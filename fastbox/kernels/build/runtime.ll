; What kernels call of Numba's runtime, in LLVM's language.

; Memory lies behind a count of references, a destructor, its argument, the address of the data, their size, and an
; allocator. Data begin a cache line, so that no speed depends on luck.

declare ptr @malloc(i64)
declare void @free(ptr)

define ptr @NRT_MemInfo_alloc_aligned(i64 %size, i32 %align) {
  %asked = zext i32 %align to i64
  %less_than_line = icmp ult i64 %asked, 64
  %wide = select i1 %less_than_line, i64 64, i64 %asked
  %more = add i64 %wide, 48
  %all = add i64 %size, %more
  %fits = icmp uge i64 %all, %size
  br i1 %fits, label %ask, label %none
ask:
  %info = call ptr @malloc(i64 %all)
  %failed = icmp eq ptr %info, null
  br i1 %failed, label %none, label %some
none:
  ret ptr null
some:
  %behind = getelementptr i8, ptr %info, i64 48
  %place = ptrtoint ptr %behind to i64
  %less = sub i64 %wide, 1
  %up = add i64 %place, %less
  %mask = sub i64 0, %wide
  %at = and i64 %up, %mask
  %data = inttoptr i64 %at to ptr
  store { i64, i64, i64, i64, i64, i64 } { i64 1, i64 0, i64 0, i64 0, i64 0, i64 0 }, ptr %info
  %where = getelementptr i8, ptr %info, i64 24
  store ptr %data, ptr %where
  %long = getelementptr i8, ptr %info, i64 32
  store i64 %size, ptr %long
  ret ptr %info
}

; The counts of references take the place of Numba's. They are inlined, and vanish for the arrays of the kernel's caller,
; which have no owner. No other thread sees the memory that a kernel takes.

define void @NRT_incref(ptr %info) alwaysinline {
  %none = icmp eq ptr %info, null
  br i1 %none, label %end, label %one
one:
  %count = load i64, ptr %info
  %more = add i64 %count, 1
  store i64 %more, ptr %info
  br label %end
end:
  ret void
}

define void @NRT_decref(ptr %info) alwaysinline {
  %none = icmp eq ptr %info, null
  br i1 %none, label %end, label %one
one:
  %count = load i64, ptr %info
  %less = sub i64 %count, 1
  store i64 %less, ptr %info
  %last = icmp eq i64 %less, 0
  br i1 %last, label %give_back, label %end
give_back:
  call void @NRT_MemInfo_call_dtor(ptr %info)
  br label %end
end:
  ret void
}

define void @NRT_MemInfo_call_dtor(ptr %info) {
  call void @free(ptr %info)
  ret void
}

define void @release(ptr %info) {
  call void @free(ptr %info)
  ret void
}

declare double @frexp(double, ptr)
declare double @ldexp(double, i32)

define double @numba_ldexp(double %x, i32 %exponent) {
  %z = tail call double @ldexp(double %x, i32 %exponent)
  ret double %z
}

define double @numba_frexp(double %x, ptr %exponent) {
  %less = fsub double %x, %x
  %finite = fcmp oeq double %less, 0.0
  %some = fcmp one double %x, 0.0
  %ask = and i1 %finite, %some
  br i1 %ask, label %call, label %none
none:
  store i32 0, ptr %exponent
  ret double %x
call:
  %z = tail call double @frexp(double %x, ptr %exponent)
  ret double %z
}

declare float @frexpf(float, ptr)
declare float @ldexpf(float, i32)

define float @numba_ldexpf(float %x, i32 %exponent) {
  %z = tail call float @ldexpf(float %x, i32 %exponent)
  ret float %z
}

define float @numba_frexpf(float %x, ptr %exponent) {
  %less = fsub float %x, %x
  %finite = fcmp oeq float %less, 0.0
  %some = fcmp one float %x, 0.0
  %ask = and i1 %finite, %some
  br i1 %ask, label %call, label %none
none:
  store i32 0, ptr %exponent
  ret float %x
call:
  %z = tail call float @frexpf(float %x, ptr %exponent)
  ret float %z
}

declare double @nextafter(double, double)

define double @numba_nextafter(double %x, double %y) {
  %z = tail call double @nextafter(double %x, double %y)
  ret double %z
}

declare float @nextafterf(float, float)

define float @numba_nextafterf(float %x, float %y) {
  %z = tail call float @nextafterf(float %x, float %y)
  ret float %z
}
