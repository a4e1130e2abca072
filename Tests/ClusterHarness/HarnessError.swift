/// What went wrong around a test, in a sentence.
package struct HarnessError: Error, CustomStringConvertible {
    /// The sentence.
    package let description: String

    /// Wraps a sentence.
    package init(_ description: String) { self.description = description }
}
