//! A list that grows by pages: what is in it never moves, and growing neither copies nor takes twice the memory for a moment.

/// A growing list of large items.
#[derive(Debug)]
pub struct Paged<T>(Vec<Vec<T>>);

impl<T> Default for Paged<T> {
    fn default() -> Paged<T> {
        Paged(Vec::new())
    }
}

impl<T> Paged<T> {
    /// Items on a page: 32 to 64 KiB, which an allocator keeps for the next who asks, where it gives larger pieces back to the system.
    const PAGE: usize = (32 * 1024 / if size_of::<T>() == 0 { 1 } else { size_of::<T>() } + 1).next_power_of_two();

    pub fn len(&self) -> usize {
        self.0.last().map_or(0, |last| (self.0.len() - 1) * Self::PAGE + last.len())
    }
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    pub fn push(&mut self, item: T) {
        match self.0.last_mut() {
            Some(page) if page.len() < Self::PAGE => page.push(item),
            _ => {
                // the first page is small: most cases are
                let mut page = Vec::with_capacity(if self.0.is_empty() { 4 } else { Self::PAGE });
                page.push(item);
                self.0.push(page);
            }
        }
    }
    /// Makes it so long that there is something at `at`, and fills a page as far as it has memory already.
    pub fn reach(&mut self, at: usize, item: impl Fn() -> T) {
        while at >= self.len() {
            self.push(item());
            if let Some(page) = self.0.last_mut() {
                page.resize_with(page.capacity().min(Self::PAGE), &item);
            }
        }
    }
    pub fn get(&self, at: usize) -> Option<&T> {
        self.0.get(at / Self::PAGE)?.get(at % Self::PAGE)
    }
    pub fn get_mut(&mut self, at: usize) -> Option<&mut T> {
        self.0.get_mut(at / Self::PAGE)?.get_mut(at % Self::PAGE)
    }
}

impl<T> std::ops::Index<usize> for Paged<T> {
    type Output = T;
    fn index(&self, at: usize) -> &T {
        &self.0[at / Self::PAGE][at % Self::PAGE]
    }
}

impl<T> std::ops::IndexMut<usize> for Paged<T> {
    fn index_mut(&mut self, at: usize) -> &mut T {
        &mut self.0[at / Self::PAGE][at % Self::PAGE]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_list() {
        const PAGE: usize = Paged::<usize>::PAGE;
        let mut paged: Paged<usize> = Paged::default();
        assert!(paged.is_empty() && paged.get(0).is_none());
        for i in 0..3 * PAGE + 7 {
            assert_eq!(paged.len(), i);
            paged.push(i);
        }
        assert!((0..paged.len()).all(|i| paged[i] == i && paged.get(i) == Some(&i)));
        paged[PAGE] += 1;
        *paged.get_mut(PAGE + 1).expect("it is there") += 1;
        assert_eq!((paged[PAGE], paged[PAGE + 1], paged.get(paged.len())), (PAGE + 1, PAGE + 2, None));
    }

    #[test]
    fn it_reaches_as_far_as_it_is_asked_to() {
        const PAGE: usize = Paged::<usize>::PAGE;
        let mut paged: Paged<usize> = Paged::default();
        for at in [0, 1, 6, PAGE - 1, PAGE, 3 * PAGE + 1] {
            paged.reach(at, || 7);
            assert!(paged.len() > at && paged.len() <= (at + 1).next_multiple_of(PAGE));
            assert!((0..paged.len()).all(|i| paged[i] == 7));
        }
    }
}
